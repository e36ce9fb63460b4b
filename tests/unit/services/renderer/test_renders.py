"""A render request's ends that need no browser: late, stored already, refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from sqlalchemy import select

from services.renderer.renders import Renders
from shared.errors import Cancelled, DatabaseUnavailable, DeadlineExceeded, InvalidInput, StoreUnavailable
from shared.messages.render import Origin, RenderRequest, decode
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import OpenRender
from shared.metadata.open_renders import Listing, OpenRenders, Unlisted
from shared.metadata.records import RenderRecords
from shared.settings import Settings
from shared.store.memory import Memory
from shared.store.pictures import Pictures, Status
from tests.harness.polling import hold_true

NOW = datetime.now(UTC)
SETTINGS = Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788")


class RememberedRecords:
    def __init__(self) -> None:
        self.ends: list[Any] = []

    async def ended(self, request: RenderRequest, *_: Any, **how: Any) -> None:
        self.ends.append(how)


class RememberedListing:
    def __init__(self) -> None:
        self.words: list[str] = []

    def taken(self, *_: Any) -> None:
        self.words.append("taken")

    def given_back(self, *_: Any) -> None:
        self.words.append("given back")

    def ended(self, request_id: str) -> None:
        self.words.append(f"ended {request_id}")


@pytest.fixture
def pictures() -> Pictures:
    return Pictures(Memory(), "test_", ttl_s=3600, fresh_s=3600)


def renders_of(pictures: Pictures, records: RememberedRecords | None = None, listing: Listing | None = None) -> Renders:
    """Without a browser pool: nothing here may come as far as a browser."""
    kept, told = records or RememberedRecords(), listing or Unlisted()
    return Renders(SETTINGS, {}, pictures, lambda _: None, kept, told)  # type: ignore[arg-type,return-value]


def late_request() -> RenderRequest:
    loaded = decode(json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text()))
    generation = int(NOW.timestamp() * 1000)
    return replace(
        loaded, generation=generation, published_at=NOW - timedelta(hours=1), deadline=NOW - timedelta(minutes=1)
    )


async def test_a_request_that_waited_past_its_deadline_is_an_error_with_its_reason(pictures: Pictures) -> None:
    request, records = late_request(), RememberedRecords()
    with pytest.raises(DeadlineExceeded, match="waited in the queue"):
        await renders_of(pictures, records).handle(request, False)
    state = await pictures.state(request.key)
    assert state is not None
    assert (state.status, state.code) == (Status.ERROR, "deadline_exceeded")
    assert [end["error"].code for end in records.ends] == ["deadline_exceeded"]


async def test_a_stored_picture_redelivered_after_its_deadline_stays_updated(pictures: Pictures) -> None:
    request, records = late_request(), RememberedRecords()
    await pictures.put(
        request.key, b"png", content_type="image/png", generation=request.generation, digest="d", rendered_at=NOW
    )
    await renders_of(pictures, records).handle(request, False)
    state = await pictures.state(request.key)
    assert state is not None
    assert state.status is Status.UPDATED
    assert records.ends == []


async def test_waiting_for_its_turn_counts_within_the_time_of_a_render(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or Dramatiq's time limit would cut it without saying why."""
    deadlines: list[datetime] = []

    async def start(*_: object, deadline: datetime) -> bool:
        deadlines.append(deadline)
        return False

    monkeypatch.setattr(pictures, "start", start)
    bulk = replace(late_request(), origin=Origin.REFRESH, deadline=NOW + timedelta(hours=1))
    renders, asked_at = renders_of(pictures), datetime.now(UTC)
    async with renders._turns.take(viewer=True):
        waiting = asyncio.create_task(renders.handle(bulk, False))
        await hold_true(lambda: not waiting.done(), 0.2, "a viewer's render is under way")
        its_turn_at = datetime.now(UTC)
    await waiting
    budget = timedelta(seconds=SETTINGS.render_deadline_s)
    assert asked_at + budget <= deadlines[0] < its_turn_at + budget


async def test_a_refused_message_ends_the_key_that_it_names(pictures: Pictures) -> None:
    key, generation = "a" * 32, str(int(NOW.timestamp() * 1000))
    await renders_of(pictures).refuse({"key": key, "generation": generation}, InvalidInput("no target"))
    state = await pictures.state(key)
    assert state is not None
    assert (state.status, state.reason) == (Status.ERROR, "no target")


async def test_what_it_does_with_a_request_is_told(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    request, told = replace(late_request(), deadline=NOW + timedelta(hours=1)), RememberedListing()
    renders = renders_of(pictures, listing=told)
    await renders.refuse({"id": "odd"}, InvalidInput("no target"))
    monkeypatch.setattr(pictures, "start", AsyncMock(side_effect=StoreUnavailable("It is down.")))
    with pytest.raises(StoreUnavailable):
        await renders.handle(request, False)
    assert told.words == ["ended odd", "taken", "given back"]
    monkeypatch.setattr(pictures, "start", AsyncMock(return_value=False))
    await renders.handle(request, False)
    assert told.words[3:] == ["taken", f"ended {request.id}"]  # superseded: no record takes the row away


async def test_one_that_was_cancelled_while_it_waited_ends_when_it_is_taken(pictures: Pictures) -> None:
    request, records = replace(late_request(), deadline=NOW + timedelta(hours=1)), RememberedRecords()
    listing = RememberedListing()
    cancelled = Cancelled.by_operator()
    end = {"code": cancelled.code, "reason": cancelled.message, "retry_at": NOW}
    await pictures.fail(request.key, request.generation, **end)  # type: ignore[arg-type]
    told = await pictures.state(request.key)
    with pytest.raises(Cancelled):
        await renders_of(pictures, records, listing).handle(request, False)
    assert await pictures.state(request.key) == told
    assert [end["once"] for end in records.ends] == [True]  # whoever cancelled it wrote its record
    assert listing.words == ["taken"]


async def test_one_that_is_cancelled_in_hand_ends_with_its_record(pictures: Pictures) -> None:
    request, records = replace(late_request(), deadline=NOW + timedelta(hours=1)), RememberedRecords()
    await pictures.start(request.key, request.generation, "host:1", deadline=request.deadline)
    renders = renders_of(pictures, records)
    renders.desk.cancel([request.id])
    with pytest.raises(Cancelled):
        await renders.handle(request, False)
    state = await pictures.state(request.key)
    assert state is not None
    assert (state.status, state.code) == (Status.ERROR, "cancelled")
    assert [end["error"].code for end in records.ends] == ["cancelled"]


@pytest.mark.parametrize("broken", ["store", "records"])
async def test_one_that_ended_and_could_not_say_so_is_in_hand_no_more(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    factory = sessions(engine)
    rows = OpenRenders(factory)
    renders = renders_of(pictures, RenderRecords(factory), rows)  # type: ignore[arg-type]
    if broken == "store":
        monkeypatch.setattr(pictures, "fail", AsyncMock(side_effect=StoreUnavailable("It is down.")))
    else:
        monkeypatch.setattr(RenderRecords, "_write", Mock(side_effect=DatabaseUnavailable("It is down.")))
    with pytest.raises(StoreUnavailable if broken == "store" else DeadlineExceeded):
        await renders.handle(late_request(), True)
    rows.only_in_hand(renders.owner, renders.desk.request_ids)
    await rows.written()
    with factory() as session:
        assert session.scalars(select(OpenRender.id)).all() == []
    engine.dispose()


@pytest.mark.parametrize(
    "payload", ["text", None, [], {"key": "../x", "generation": "1"}, {"key": "a" * 32, "generation": 2**64 - 1}]
)
async def test_garbage_ends_no_key_and_is_no_error_of_ours(pictures: Pictures, payload: Any) -> None:
    await renders_of(pictures).refuse(payload, InvalidInput("garbage"))
    assert await pictures.state("a" * 32) is None
