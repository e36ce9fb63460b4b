"""What is published is listed before, and what is not published is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from shared.errors import BrokerUnavailable
from shared.listing import ListingPublisher
from shared.messages.render import RenderRequest, decode
from tests.harness.polling import wait_until_async

REQUEST = decode(json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text()))


class Told:
    """Rows and a broker that remember in which order they were told."""

    def __init__(self, *, down: bool = False, slow: bool = False) -> None:
        self.words: list[str] = []
        self._down, self._slow = down, slow

    async def asked(self, request: RenderRequest) -> None:
        self.words.append("asked")
        if self._slow:
            await asyncio.Event().wait()

    def ended(self, request_id: str) -> None:
        self.words.append(f"ended {request_id}")

    async def publish(self, request: RenderRequest) -> None:
        self.words.append("published")
        if self._down:
            raise BrokerUnavailable("It is down.")

    def close(self) -> None:
        self.words.append("closed")


async def test_the_row_is_there_before_any_renderer_can_take_the_message() -> None:
    told = Told()
    publisher = ListingPublisher(told, told)  # type: ignore[arg-type]
    await publisher.publish(REQUEST)
    publisher.close()
    assert told.words == ["asked", "published", "closed"]


async def test_without_a_publish_it_does_not_wait() -> None:
    told = Told(down=True)
    with pytest.raises(BrokerUnavailable):
        await ListingPublisher(told, told).publish(REQUEST)  # type: ignore[arg-type]
    assert told.words == ["asked", "published", f"ended {REQUEST.id}"]


async def test_nor_does_it_when_whoever_asked_went_away_before() -> None:
    told = Told(slow=True)
    publishing = asyncio.create_task(ListingPublisher(told, told).publish(REQUEST))  # type: ignore[arg-type]
    await wait_until_async(lambda: told.words, 10, "the row")
    publishing.cancel()
    await asyncio.wait({publishing})
    assert told.words == ["asked", f"ended {REQUEST.id}"]
