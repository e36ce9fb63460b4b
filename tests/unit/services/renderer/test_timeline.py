from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.renderer.timeline import Timeline, remaining_s


def test_steps_keep_their_order_and_add_up() -> None:
    timeline = Timeline()
    timeline.add("queued", 0.25)
    with timeline.step("leased"):
        pass
    timeline.add("queued", 0.5)
    assert timeline.as_json()[0] == {"step": "queued", "seconds": 0.75}
    assert [entry["step"] for entry in timeline.as_json()] == ["queued", "leased"]


def test_a_step_that_fails_is_recorded() -> None:
    timeline = Timeline()
    with pytest.raises(ValueError, match="x"), timeline.step("ready"):
        raise ValueError("x")
    assert timeline.as_json()[0]["step"] == "ready"


def test_time_left_is_never_negative() -> None:
    assert remaining_s(datetime.now(UTC) - timedelta(seconds=5)) == 0
    assert 4 < remaining_s(datetime.now(UTC) + timedelta(seconds=5)) <= 5
