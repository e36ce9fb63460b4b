"""Curves over the last hours, read from the samples that schedulers keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.metadata.models import Sample

STEP_S = 30
MAX_POINTS = 360
COUNTED = ("renders_updated", "renders_failed")  # events of a step: added up; all others are levels: the mean


def curves(sessions: sessionmaker[Session], hours: float) -> dict[str, Any]:
    """`{step_s, at: [Unix seconds], curves: {name: [number or None]}}`, oldest first. Raises DatabaseUnavailable."""
    steps = max(1, -(-int(hours * 3600) // STEP_S))
    step_s = -(-steps // MAX_POINTS) * STEP_S
    since = datetime.now(UTC) - timedelta(hours=hours)
    with sessions() as session:
        query = select(Sample.slot, Sample.readings).where(Sample.at >= since).order_by(Sample.slot)
        rows = session.execute(query).all()
    if not rows:
        return {"step_s": step_s, "at": [], "curves": {}}
    buckets: dict[int, list[dict[str, float]]] = {}
    for slot, readings in rows:
        buckets.setdefault(slot // step_s * step_s, []).append(readings)
    at = list(range(min(buckets), max(buckets) + 1, step_s))
    names = sorted({name for _, readings in rows for name in readings})
    return {
        "step_s": step_s,
        "at": at,
        "curves": {name: [_value(name, buckets.get(slot, [])) for slot in at] for name in names},
    }


def _value(name: str, readings: list[dict[str, float]]) -> float | None:
    found = [one[name] for one in readings if name in one]
    if not found:
        return None
    return sum(found) if name in COUNTED else round(sum(found) / len(found), 3)
