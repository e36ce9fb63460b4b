"""Renders in hand, and those that nobody wants any more."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.renderer.desk import Desk
from shared.errors import Cancelled
from shared.messages.render import RenderRequest, decode

REQUEST = decode(json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text()))


async def for_ever(begun: asyncio.Event) -> str:
    begun.set()
    await asyncio.Event().wait()
    return "never"


async def at_work(desk: Desk, request: RenderRequest = REQUEST) -> asyncio.Task[str]:
    begun = asyncio.Event()
    working = asyncio.create_task(desk.work(request, for_ever(begun)))
    await begun.wait()
    return working


async def test_what_is_in_hand_is_told_until_it_ends() -> None:
    desk = Desk()

    async def render() -> str:
        assert desk.describe()[0]["what"] == str(REQUEST.target)
        return "updated"

    assert await desk.work(REQUEST, render()) == "updated"
    assert desk.describe() == []


async def test_a_cancelled_render_ends_and_its_neighbour_goes_on() -> None:
    desk = Desk()
    one, other = await at_work(desk), await at_work(desk, replace(REQUEST, id="other"))
    desk.cancel([REQUEST.id])
    with pytest.raises(Cancelled):
        await one
    assert [item["id"] for item in desk.describe()] == ["other"]
    other.cancel()
    await asyncio.wait([other])


async def test_one_that_was_cancelled_while_it_waited_never_begins() -> None:
    desk, begun = Desk(), asyncio.Event()
    desk.cancel([REQUEST.id])
    with pytest.raises(Cancelled):
        await desk.work(REQUEST, for_ever(begun))
    assert not begun.is_set()


async def test_a_time_limit_is_no_cancellation_by_an_operator() -> None:
    desk = Desk()
    working = await at_work(desk)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert desk.describe() == []
