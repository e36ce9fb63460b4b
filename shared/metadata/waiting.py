"""Which pictures wait and which are being rendered: the open renders, as far as they are true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import Cancelled
from shared.heartbeats import Alive, alive
from shared.messages.render import Origin
from shared.metadata.engine import raced, writing
from shared.metadata.models import Cancellation, OpenRender, RenderRecord

AT_ONCE = 500  # rows of one statement
PENDING, COMPUTING = "Pending", "Computing"  # as the state of their key says
ASKED = ("correlation_id", "catalog", "target_kind", "target_id", "executor", "key", "generation", "origin", "sizes")


@dataclass(frozen=True, slots=True)
class Open:
    """A render that has not ended; `age_s`: since it was asked for."""

    row: OpenRender
    in_hand: bool
    age_s: float

    @property
    def status(self) -> str:
        return COMPUTING if self.in_hand else PENDING


def in_work(processes: Iterable[Alive]) -> set[str]:
    """The ids of the renders that renderers say to have in hand, in their heartbeats."""
    return {item["id"] for one in processes if one.service == "renderer" for item in one.details.get("work", ())}


def find(
    sessions: sessionmaker[Session],
    conditions: Sequence[ColumnElement[bool]] = (),
    *,
    status: str = "",
    offset: int = 0,
    limit: int = 25,
) -> tuple[int, list[Open]]:
    """How many there are, and one page of them, newest first. `status`: only PENDING or COMPUTING ones."""
    in_hand, wanted = _in_hand(sessions), [*_open(), *conditions]
    if status:
        wanted.append(in_hand if status == COMPUTING else ~in_hand)
    newest = select(OpenRender, in_hand).where(*wanted).order_by(OpenRender.asked_at.desc(), OpenRender.id)
    with sessions() as session:
        count = session.scalar(select(func.count()).select_from(OpenRender).where(*wanted)) or 0
        rows = session.execute(newest.offset(offset).limit(limit)).all()
    now = datetime.now(UTC)
    return count, [Open(row, bool(held), max(0.0, (now - row.asked_at).total_seconds())) for row, held in rows]


def one(sessions: sessionmaker[Session], render_id: str) -> Open | None:
    _, found = find(sessions, [OpenRender.id == render_id])
    return found[0] if found else None


def of_key(sessions: sessionmaker[Session], key: str) -> Open | None:
    """The newest one that is to draw this picture."""
    _, found = find(sessions, [OpenRender.key == key], limit=1)
    return found[0] if found else None


def count_before(sessions: sessionmaker[Session], waits: Open) -> int:
    """How many wait in the same queue and were asked for earlier."""
    same_queue = _of_queue(viewers=waits.row.origin == Origin.VIEWER)
    earlier = OpenRender.asked_at < waits.row.asked_at
    return find(sessions, [same_queue, earlier], status=PENDING, limit=0)[0]


def counts(sessions: sessionmaker[Session]) -> dict[str, int]:
    """How many wait, and how many are being rendered."""
    query = select(func.count(), func.count().filter(_in_hand(sessions))).select_from(OpenRender).where(*_open())
    with sessions() as session:
        every, held = session.execute(query).one()
    return {"waiting": every - held, "rendering": held}


def cancel(sessions: sessionmaker[Session], request_id: str, username: str, *, waits: Open | None) -> None:
    """A renderer that has it, or takes it, ends it. One that `waits` has ended as of now: its record says so."""

    def write() -> None:
        with writing(sessions) as session:
            session.merge(Cancellation(request_id=request_id, username=username))
            if waits is None:
                return
            session.execute(delete(OpenRender).where(OpenRender.id == request_id))
            if session.get(RenderRecord, request_id) is None:  # it has not ended in this moment
                session.add(_cancelled(waits))

    raced(write)


def in_queue(sessions: sessionmaker[Session], *, viewers: bool) -> list[str]:
    """The ids of those whose messages lie in a queue; what is to be tried again after a pause lies elsewhere."""
    ours = select(OpenRender.id).where(_never_taken(sessions), _of_queue(viewers=viewers))
    with sessions() as session:
        return list(session.scalars(ours))


def purged(sessions: sessionmaker[Session], request_ids: Sequence[str]) -> None:
    """Their messages are gone, but for those that a renderer took meanwhile.

    Ids tell what came after the look, and times would not: each row's is on the clock of the gateway that was asked.
    """
    waits = _never_taken(sessions)
    for first in range(0, len(request_ids), AT_ONCE):
        some = OpenRender.id.in_(request_ids[first : first + AT_ONCE])
        with writing(sessions) as session:
            session.execute(delete(OpenRender).where(some, waits))


def _open() -> list[ColumnElement[bool]]:
    """A renderer of the version before writes the record, and leaves the row."""
    has_ended = exists(select(RenderRecord.id).where(RenderRecord.id == OpenRender.id))
    return [OpenRender.deadline > datetime.now(UTC), ~has_ended]


def _in_hand(sessions: sessionmaker[Session]) -> ColumnElement[bool]:
    """Whether a renderer that lives has it: the message of one that died waits again.

    One of the version before tells in its heartbeat only.
    """
    living = [one for one in alive(sessions) if one.service == "renderer" and not one.is_silent]
    taken = func.coalesce(OpenRender.owner, "").in_([f"{one.host}:{one.pid}" for one in living])
    return or_(taken, and_(OpenRender.owner.is_(None), OpenRender.id.in_(in_work(living))))


def _never_taken(sessions: sessionmaker[Session]) -> ColumnElement[bool]:
    return and_(OpenRender.owner.is_(None), ~_in_hand(sessions))


def _of_queue(*, viewers: bool) -> ColumnElement[bool]:
    return OpenRender.origin == Origin.VIEWER if viewers else OpenRender.origin != Origin.VIEWER


def _cancelled(waits: Open) -> RenderRecord:
    error, now = Cancelled.by_operator(), datetime.now(UTC)
    return RenderRecord(
        id=waits.row.id,
        status="Error",
        code=error.code,
        reason=error.message,
        timeline=[{"step": "queued", "seconds": round(waits.age_s, 3)}],
        started_at=now,
        finished_at=now,
        **{name: getattr(waits.row, name) for name in ASKED},
    )
