"""The timeline of one render: which step took how long, in the order in which they happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from shared import metrics, tracing

Step = Literal["queued", "leased", "signed_in", "navigated", "ready", "captured", "stored"]


class Timeline:
    """Named steps with their seconds; a step that fails is recorded with the time it took to fail."""

    def __init__(self) -> None:
        self._steps: dict[Step, float] = {}

    def add(self, step: Step, seconds: float) -> None:
        self._steps[step] = self._steps.get(step, 0.0) + seconds
        metrics.RENDER_STEP_SECONDS.labels(step).observe(seconds)

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        started = time.monotonic()
        try:
            with tracing.span(step):
                yield
        finally:
            self.add(step, time.monotonic() - started)

    def as_json(self) -> list[dict[str, str | float]]:
        """`[{"step", "seconds"}]` in order, rounded to milliseconds: the shape of a render record."""
        return [{"step": step, "seconds": round(seconds, 3)} for step, seconds in self._steps.items()]


def remaining_s(deadline: datetime) -> float:
    """Seconds until `deadline` (aware); 0.0 when it has passed."""
    return max(0.0, (deadline - datetime.now(UTC)).total_seconds())
