"""What the health checks of renderer and scheduler look at."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, generate_latest

from shared import pulse
from shared.pulse import Pulse
from tests.harness.polling import wait_until_async


def alive() -> float | None:
    return REGISTRY.get_sample_value("vitrine_event_loop_alive", {"service": "tried"})


async def test_a_loop_that_turns_is_alive_and_one_that_hangs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "TURN_S", 0.01)
    tried = Pulse("tried")
    tried.start()
    assert alive() == 1
    assert b'vitrine_event_loop_alive{service="tried"} 1.0' in generate_latest()  # as the health checks look for it
    monkeypatch.setattr(pulse, "HANGS_S", 0.0)
    assert alive() == 0
    monkeypatch.setattr(pulse, "HANGS_S", 5.0)
    before = tried._turned_at
    await wait_until_async(lambda: tried._turned_at > before, 5, "another turn")
    tried.stop()


async def test_stopping_what_was_never_started_is_no_error() -> None:
    Pulse("never").stop()
