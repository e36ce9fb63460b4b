"""The curves of /ops: what is true at one time, as one row. They survive every restart, ours and Prometheus'."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from shared.heartbeats import Alive
from shared.metadata.clock import database_seconds
from shared.metadata.engine import writing
from shared.metadata.models import RenderRecord, Sample
from shared.queue_watch import QueueState
from shared.samples import STEP_S
from shared.store.port import NodeStats

LONGEST = timedelta(minutes=10)  # that a render may take and still be found by when it started


def sample(
    sessions: sessionmaker[Session],
    queues: Sequence[QueueState],
    nodes: Sequence[NodeStats],
    processes: Sequence[Alive],
) -> bool:
    """Keeps the readings of this step, unless it has some. Raises DatabaseUnavailable."""
    with sessions() as session:
        slot = int(database_seconds(session) // STEP_S * STEP_S)
        if session.get(Sample, slot) is not None:
            return False
        at = datetime.fromtimestamp(slot, UTC)
        readings = {**_renders(session, at), **_queues(queues), **_store(nodes)}
    readings["processes"] = sum(not one.is_silent for one in processes)
    try:
        with writing(sessions) as session:
            session.add(Sample(slot=slot, at=at, readings=readings))
    except IntegrityError:
        return False  # another scheduler was first
    return True


def _renders(session: Session, until: datetime) -> dict[str, float]:
    """What ended in the step before `until`."""
    since = until - timedelta(seconds=STEP_S)
    ended = (RenderRecord.finished_at >= since) & (RenderRecord.finished_at < until)
    columns = (RenderRecord.status, RenderRecord.timeline)
    rows = session.execute(select(*columns).where(RenderRecord.started_at >= since - LONGEST, ended)).all()
    readings: dict[str, float] = {
        "renders_updated": sum(status == "Updated" for status, _ in rows),
        "renders_failed": sum(status != "Updated" for status, _ in rows),
    }
    took = [sum(step["seconds"] for step in timeline) for status, timeline in rows if status == "Updated"]
    return readings | ({"render_s": round(median(took), 3)} if took else {})


def _queues(queues: Sequence[QueueState]) -> dict[str, float]:
    if not queues:
        return {}
    waiting = {f"ready {state.name}": state.ready for state in queues}
    return {**waiting, "dead_letters": sum(state.dead_letters for state in queues)}


def _store(nodes: Sequence[NodeStats]) -> dict[str, float]:
    up = [node for node in nodes if node.up]
    counted = {"hits": sum(node.hits or 0 for node in up), "misses": sum(node.misses or 0 for node in up)}
    return {
        "store_items": sum(node.items for node in up),
        "store_bytes": sum(node.size_bytes for node in up),
        **(counted if any(node.hits is not None for node in up) else {}),
    }
