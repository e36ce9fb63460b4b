"""Warm-up as somebody who lacks the right to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import Forbidden
from tests.samples.warm import open_workshop


async def test_a_missing_right_is_a_failure_with_its_reason_and_the_chart_is_not_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left alone it would not be warmed for those either who have the right."""
    workshop = open_workshop(tmp_path)

    async def refuse(*_: object, **__: object) -> None:
        raise Forbidden("In Superset this user lacks the right 'can warm up cache on Chart'.")

    monkeypatch.setattr(workshop.world.catalog, "warm", refuse)
    (outcome,) = await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (outcome.outcome, outcome.code) == ("failed", "forbidden")
    assert outcome.reason == "In Superset this user lacks the right 'can warm up cache on Chart'. (as ada)"
    assert workshop.kindness.backoffs() == []
    workshop.world.close()
