"""What operators look at: renders that ended, and letters that died."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dramatiq.broker import MessageProxy

from shared.consuming import FAILURE_OPTION
from shared.metadata.models import RenderRecord
from shared.queue import RENDER_QUEUE, envelope

OPS = "/api/v1/ops"
LETTERS = f"{OPS}/queues/{RENDER_QUEUE}/dead_letters"
STEPS = [{"step": "queued", "seconds": 1.0}, {"step": "ready", "seconds": 2.0}]


def add(gateway, *rows):
    with gateway.services.sessions.begin() as session:
        session.add_all(rows)


def record(render_id, *, status="Updated", age=timedelta(), **changes):
    about: dict[str, Any] = {
        "catalog": "native",
        "target_kind": "chart",
        "target_id": "1",
        "executor": "ben",
        "key": "k" * 32,
    }
    about |= {"correlation_id": f"c-{render_id}", "generation": 1, "origin": "viewer", "timeline": STEPS}
    about |= {"sizes": {"window": [800, 600], "thumbnail": [800, 600]}}
    at = datetime.now(UTC) - age
    return RenderRecord(id=render_id, status=status, started_at=at, finished_at=at, **{**about, **changes})


async def bury(gateway, code="not_ready"):
    """A dead letter of a thumbnail that somebody asked for."""
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    message = envelope(gateway.publisher.published[-1])
    failure = {FAILURE_OPTION: {"code": code, "reason": "It never ended."}}
    letters = gateway.services.watch._broker.dead_letters_by_queue[RENDER_QUEUE]
    letters.append(MessageProxy(message.copy(options=failure)))
    return message.message_id
