"""Whose browser context a render borrows, without a browser."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.renderer import capture
from services.renderer.egress import Egress
from services.renderer.timeline import Timeline
from shared.catalog.port import Page, Readiness
from shared.errors import BrowserUnavailable
from shared.targets import Format, Size, TargetKind

RULE = Readiness(root="body", holder="body", terminal="*", failed=":not(*)")


class BadPool:
    """Remembers whose context it was asked for, and has none."""

    egress = Egress(["grafana.example:443"])

    def __init__(self) -> None:
        self.asked: list[str] = []

    @asynccontextmanager
    async def lease(self, executor: str, deadline: datetime) -> Any:
        self.asked.append(executor)
        raise BrowserUnavailable("none")
        yield


@pytest.mark.parametrize(("identity", "borrowed"), [("", "pages/reader"), ("orders", "pages/reader/orders")])
async def test_pages_that_are_signed_in_differently_borrow_different_contexts(identity: str, borrowed: str) -> None:
    pool: Any = BadPool()
    with pytest.raises(BrowserUnavailable):
        await capture.render(
            pool,
            Page("https://grafana.example/d/1", RULE, identity=identity),
            executor="pages/reader",
            window=Size(800, 600),
            thumbnail=None,
            formats=(Format.PNG,),
            deadline=datetime.now(UTC) + timedelta(seconds=5),
            kind=TargetKind.DASHBOARD,
            timeline=Timeline(),
        )
    assert pool.asked == [borrowed]
