"""What warm-up runs came to, as JSON: counts, seconds, and whether anybody used what they warmed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import NotFound
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.warmup.runs import Came

MAX_OUTCOMES = 1000
PENDING = "pending"
WORDS = (*(came.value for came in Came), PENDING)


def recent(sessions: sessionmaker[Session], *, offset: int = 0, limit: int = 25) -> tuple[int, list[dict[str, Any]]]:
    """How many runs there are, and one page of their summaries, newest first."""
    with sessions() as session:
        count = session.scalar(select(func.count()).select_from(WarmupRun)) or 0
        newest = select(WarmupRun).order_by(WarmupRun.created_at.desc(), WarmupRun.id).offset(offset).limit(limit)
        runs = session.scalars(newest).all()
        totals = _totals(session, [run.id for run in runs])
    return count, [_summary(run, totals.get(run.id, {})) for run in runs]


def report(sessions: sessionmaker[Session], run_id: str, *, only: str = "") -> dict[str, Any]:
    """The summary of a run and its outcomes (`only` those of one word), failures first, MAX_OUTCOMES at most.

    Raises NotFound.

    `run_id` may be "latest".
    """
    with sessions() as session:
        newest = select(WarmupRun).order_by(WarmupRun.created_at.desc(), WarmupRun.id).limit(1)
        run = session.scalar(newest) if run_id == "latest" else session.get(WarmupRun, run_id)
        if run is None:
            raise NotFound(f"There is no warm-up run {run_id!r}." if run_id != "latest" else "Nothing was warmed yet.")
        mine = select(WarmupOutcome).where(WarmupOutcome.run_id == run.id)
        if only:
            mine = mine.where(WarmupOutcome.outcome == ("" if only == PENDING else only))
        order = case({Came.FAILED.value: 0, Came.SKIPPED.value: 1, "": 2}, value=WarmupOutcome.outcome, else_=3)
        outcomes = session.scalars(mine.order_by(order, WarmupOutcome.number).limit(MAX_OUTCOMES)).all()
        totals = _totals(session, [run.id])
    summary = _summary(run, totals.get(run.id, {}))
    counts = summary["outcomes_by_word"]
    count = counts[only] if only else sum(counts.values())
    left_out = max(0, count - len(outcomes))  # max: they are counted a moment later
    return {**summary, "outcomes": [_outcome(one) for one in outcomes], "outcomes_left_out": left_out}


def _totals(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    one, now = WarmupOutcome, datetime.now(UTC)
    warmed = one.outcome == Came.WARMED.value
    columns: dict[str, ColumnElement[Any]] = {
        **{word: _count(one.outcome == ("" if word == PENDING else word)) for word in WORDS},
        "seconds": func.coalesce(func.sum(one.seconds), 0.0),
        "watched": _count(warmed & one.expires_at.is_not(None)),
        "unwatched": _count(warmed & one.expires_at.is_(None)),  # Superset does not tell who uses what it keeps
        "used": _count(warmed & one.used_at.is_not(None)),
        "unused": _count(warmed & one.used_at.is_(None) & (one.expires_at < now)),
    }
    labelled = [column.label(name) for name, column in columns.items()]
    query = select(one.run_id, *labelled).where(one.run_id.in_(run_ids)).group_by(one.run_id)
    return {row["run_id"]: dict(row) for row in session.execute(query).mappings()}


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _summary(run: WarmupRun, totals: dict[str, Any]) -> dict[str, Any]:
    watched, used = totals.get("watched", 0), totals.get("used", 0)
    unused = totals.get("unused", 0)
    return {
        "id": run.id,
        "strategy": run.strategy,
        "parameters": run.parameters,
        "warms": run.warms,
        "force": run.force,
        "origin": run.origin,
        "username": run.username,
        "schedule": run.schedule,
        "due_at": _stamp(run.due_at),
        "status": run.status,
        "code": run.code,
        "reason": run.reason,
        "budget_s": run.budget_s,
        "created_at": _stamp(run.created_at),
        "started_at": _stamp(run.started_at),
        "finished_at": _stamp(run.finished_at),
        "correlation_id": run.correlation_id,
        "outcomes_by_word": {word: totals.get(word, 0) for word in WORDS},
        "seconds": round(totals.get("seconds", 0.0), 3),
        "used": used,
        "unused": unused,
        "not_used_yet": watched - used - unused,
        "use_unknown": totals.get("unwatched", 0),
        "useful_share": round(used / watched, 3) if watched else None,
    }


def _outcome(one: WarmupOutcome) -> dict[str, Any]:
    return {
        "number": one.number,
        "what": one.what,
        "catalog": one.catalog,
        "kind": one.target_kind,
        "target_id": one.target_id,
        "title": one.title,
        "dashboard_id": one.dashboard_id,
        "filter_id": one.filter_id or None,
        "view_state": one.view_state or None,
        "executor": one.executor,
        "viewers": one.viewers,
        "database": one.database,
        "key": one.key,
        "outcome": one.outcome or PENDING,
        "code": one.code,
        "reason": one.reason,
        "seconds": one.seconds,
        "finished_at": _stamp(one.finished_at),
        "expires_at": _stamp(one.expires_at),
        "used_at": _stamp(one.used_at),
    }


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
