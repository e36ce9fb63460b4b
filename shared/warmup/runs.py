"""The rows of warm-up runs and their outcomes: made, carried out, closed. Synchronous; raises DatabaseUnavailable."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import NotFound
from shared.metadata.clock import database_instant
from shared.metadata.engine import writing
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.warmup.strategies import Strategy, stored

DATA, PICTURES = "data", "pictures"
WARMS = (DATA, PICTURES)
UNPUBLISHED_S = 10  # after which a run that is in no queue is swept
USED_UP = "deadline_exceeded"
BUSY = "busy"  # what an outcome waits for: its database has as many queries of warm-up as it takes
FAULT = "A fault of ours; the log of the warming process has the details under the run's id."
LASTED = " (until the run's budget was used up)"
_OPEN = WarmupOutcome.outcome == ""


class Came(StrEnum):
    """What became of one thing that a run warms."""

    WARMED = "warmed"
    ALREADY = "already_warm"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunStatus(StrEnum):
    PENDING = "Pending"  # what it warms is not decided yet
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"  # what it warms could not be decided: see code and reason


class From(StrEnum):
    """Who made a run. The order of their urgency is PRIORITIES."""

    EVENT = "event"
    OPERATOR = "operator"
    SCHEDULE = "schedule"


PRIORITIES = {From.EVENT: 8, From.OPERATOR: 6, From.SCHEDULE: 4}


@dataclass(frozen=True, slots=True)
class Order:
    """A run as it is asked for. `id` is derived for a fire, so that firing twice makes one run."""

    strategy: Strategy[Any]
    warms: tuple[str, ...]
    origin: From
    correlation_id: str
    budget_s: int
    username: str = ""
    force: bool = False
    schedule: str | None = None
    due_at: datetime | None = None
    id: str = ""

    def row(self) -> WarmupRun:
        return WarmupRun(
            id=self.id or uuid.uuid4().hex,
            strategy=self.strategy.name,
            parameters=stored(self.strategy),
            warms=list(self.warms),
            force=self.force,
            origin=self.origin.value,
            username=self.username,
            schedule=self.schedule,
            due_at=self.due_at,
            correlation_id=self.correlation_id,
            budget_s=self.budget_s,
        )


@dataclass(frozen=True, slots=True)
class End:
    """How one outcome ended."""

    came: Came
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    key: str = ""  # if it turned out to be another than planned
    expires_at: datetime | None = None


class Runs:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def make(self, order: Order) -> WarmupRun:
        row = order.row()
        with writing(self._sessions) as session:
            row.created_at = database_instant(session)
            session.add(row)
        return row

    def run(self, run_id: str) -> WarmupRun:
        """Raises NotFound."""
        with self._sessions() as session:
            found = session.get(WarmupRun, run_id)
        if found is None:
            raise NotFound(f"There is no warm-up run {run_id!r}.")
        return found

    def outcome(self, run_id: str, number: int) -> WarmupOutcome:
        """Raises NotFound."""
        with self._sessions() as session:
            found = session.get(WarmupOutcome, (run_id, number))
        if found is None:
            raise NotFound(f"The warm-up run {run_id!r} has nothing numbered {number}.")
        return found

    def published(self, run_id: str) -> None:
        with writing(self._sessions) as session:
            mine = (WarmupRun.id == run_id) & WarmupRun.published_at.is_(None)
            session.execute(update(WarmupRun).where(mine).values(published_at=datetime.now(UTC)))

    def unpublished(self) -> list[WarmupRun]:
        """Runs whose message never reached the broker: whoever made them could not reach it, or died."""
        with self._sessions() as session:
            old = WarmupRun.created_at < database_instant(session) - timedelta(seconds=UNPUBLISHED_S)
            query = select(WarmupRun).where(WarmupRun.published_at.is_(None), old, WarmupRun.finished_at.is_(None))
            return list(session.scalars(query.order_by(WarmupRun.created_at)))

    def is_unpublished(self, run_id: str) -> bool:
        with self._sessions() as session:
            mine = select(WarmupRun.id).where(WarmupRun.id == run_id, WarmupRun.published_at.is_(None))
            return session.scalar(mine.where(WarmupRun.finished_at.is_(None))) is not None

    def plan(self, run_id: str, outcomes: Sequence[WarmupOutcome]) -> None:
        """Writes down what the run warms, once; a run without anything is done."""
        with writing(self._sessions) as session:
            if not self._lock(session, run_id, RunStatus.PENDING):
                return  # planned already: the message came twice
            session.add_all(outcomes)
            values = {"status": RunStatus.RUNNING.value, "started_at": datetime.now(UTC)}
            session.execute(update(WarmupRun).where(WarmupRun.id == run_id).values(values))
            session.flush()
            self._close_if_done(session, run_id)

    def fail(self, run_id: str, code: str, reason: str) -> None:
        """What the run warms could not be decided."""
        now = datetime.now(UTC)
        values = {"status": RunStatus.FAILED.value, "code": code, "reason": reason, "finished_at": now}
        with writing(self._sessions) as session:
            pending = (WarmupRun.id == run_id) & (WarmupRun.status == RunStatus.PENDING.value)
            session.execute(update(WarmupRun).where(pending).values(values))

    def give_up(self, run_id: str, code: str, reason: str) -> None:
        """What the run warms could not be decided; or it was, and what is still to come fails with that reason."""
        self.fail(run_id, code, reason)
        failed = {"outcome": Came.FAILED.value, "code": code, "reason": reason, "finished_at": datetime.now(UTC)}
        with writing(self._sessions) as session:
            if self._lock(session, run_id, RunStatus.RUNNING):
                session.execute(update(WarmupOutcome).where(WarmupOutcome.run_id == run_id, _OPEN).values(failed))
                self._close_if_done(session, run_id)

    def pending(self, run_id: str) -> list[int]:
        """The numbers of outcomes that are still to come."""
        with self._sessions() as session:
            left = (WarmupOutcome.run_id == run_id) & (WarmupOutcome.outcome == "")
            return list(session.scalars(select(WarmupOutcome.number).where(left).order_by(WarmupOutcome.number)))

    def note(self, run_id: str, number: int, code: str, reason: str) -> None:
        """What keeps an outcome that is still to come from coming: it is told if that lasts."""
        with writing(self._sessions) as session:
            this = (WarmupOutcome.run_id == run_id) & (WarmupOutcome.number == number)
            session.execute(update(WarmupOutcome).where(this, _OPEN).values(code=code, reason=reason))

    def settle(self, run_id: str, number: int, end: End) -> None:
        """Writes an outcome, once; the last one closes the run."""
        values: dict[str, Any] = {
            "outcome": end.came.value,
            "code": end.code,
            "reason": end.reason,
            "seconds": round(end.seconds, 3),
            "finished_at": datetime.now(UTC),
            "expires_at": end.expires_at,
        }
        if end.key:
            values["key"] = end.key
        with writing(self._sessions) as session:
            self._lock(session, run_id, RunStatus.RUNNING)
            this = (WarmupOutcome.run_id == run_id) & (WarmupOutcome.number == number)
            session.execute(update(WarmupOutcome).where(this, _OPEN).values(values))
            self._close_if_done(session, run_id)

    def stop(self, run_id: str, code: str, reason: str, *, session: Session | None = None) -> None:
        """Skips what is still to come, with a reason; the run is done. `session`: in its transaction."""
        if session is not None:
            self._stop(session, run_id, code, reason)
            return
        with writing(self._sessions) as own:
            self._stop(own, run_id, code, reason)

    def _stop(self, session: Session, run_id: str, code: str, reason: str) -> None:
        now = datetime.now(UTC)
        if not self._lock(session, run_id, RunStatus.RUNNING) and not self._lock(session, run_id, RunStatus.PENDING):
            return
        left = (WarmupOutcome.run_id == run_id) & _OPEN
        skipped = {"outcome": Came.SKIPPED.value, "code": code, "reason": reason, "finished_at": now}
        session.execute(update(WarmupOutcome).where(left).values(skipped))
        done = {"status": RunStatus.DONE.value, "finished_at": now, "code": code, "reason": reason}
        session.execute(update(WarmupRun).where(WarmupRun.id == run_id).values(done))

    def sweep(self, now: datetime, grace: timedelta) -> int:
        """Stops runs whose budget is used up for longer than `grace`: nobody is left to say so. How many."""
        with self._sessions() as session:
            going = WarmupRun.status.in_([RunStatus.RUNNING.value, RunStatus.PENDING.value])
            rows = session.scalars(select(WarmupRun).where(going)).all()
        late = [row.id for row in rows if now > deadline_of(row) + grace]
        for run_id in late:
            self._expire(run_id)
        return len(late)

    def _expire(self, run_id: str) -> None:
        """What something kept from coming ends with that reason; the rest is skipped."""
        self.fail(run_id, USED_UP, "The budget was used up before it was decided what to warm; does a renderer run?")
        one, now = WarmupOutcome, datetime.now(UTC)
        busy = (one.code == BUSY, Came.SKIPPED, USED_UP)
        failed = (~one.code.in_(["", BUSY]), Came.FAILED, one.code)
        with writing(self._sessions) as session:
            self._lock(session, run_id, RunStatus.RUNNING)
            for kept, came, code in (busy, failed):
                values = {"outcome": came.value, "code": code, "reason": one.reason + LASTED, "finished_at": now}
                session.execute(update(one).where(one.run_id == run_id, _OPEN, kept).values(values))
            self._stop(session, run_id, USED_UP, "The run's budget was used up.")

    def _lock(self, session: Session, run_id: str, status: RunStatus) -> bool:
        """Takes the run's row first, so that of two who end its last outcomes one sees that both have."""
        this = (WarmupRun.id == run_id) & (WarmupRun.status == status.value)
        locked = update(WarmupRun).where(this).values(status=status.value).returning(WarmupRun.id)
        return session.execute(locked).first() is not None

    def _close_if_done(self, session: Session, run_id: str) -> None:
        left = exists().where(WarmupOutcome.run_id == run_id, WarmupOutcome.outcome == "")
        done = (WarmupRun.id == run_id) & (WarmupRun.status == RunStatus.RUNNING.value) & ~left
        values = {"status": RunStatus.DONE.value, "finished_at": datetime.now(UTC)}
        session.execute(update(WarmupRun).where(done).values(values))


def used_up(run: WarmupRun, outcome: WarmupOutcome) -> End:
    """How an outcome ends for which the budget does not suffice: with what kept it from coming, if anything did."""
    if not outcome.code:
        return End(Came.SKIPPED, USED_UP, f"The run's budget of {run.budget_s} s was used up.")
    if outcome.code == BUSY:
        return End(Came.SKIPPED, USED_UP, outcome.reason + LASTED)
    return End(Came.FAILED, outcome.code, outcome.reason + LASTED)


def deadline_of(run: WarmupRun) -> datetime:
    """When the run's budget is used up."""
    return (run.started_at or run.created_at) + timedelta(seconds=run.budget_s)
