"""The rows of renders that have not ended, on both databases: what they tell is true, whoever died or is older."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import event, select, text

from shared.heartbeats import BEAT_S, SILENT_S
from shared.messages.render import Origin, RenderRequest, decode
from shared.metadata import history, open_renders, waiting
from shared.metadata.engine import open_engine, sessions, upgrade, writing
from shared.metadata.history import Wanted
from shared.metadata.models import Cancellation, Heartbeat, OpenRender, RenderRecord
from shared.metadata.open_renders import OpenRenders, forget_all
from shared.metadata.records import RenderRecords
from shared.metadata.retention import Retention
from tests.harness import wait_until
from tests.samples.catalog import make_settings

EXAMPLE = decode(json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text()))
OWNER = "host:7"
LOCKED = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class NoSteps:
    def as_json(self) -> list[dict[str, str | float]]:
        return [{"step": "queued", "seconds": 1.0}]


class World:
    """A gateway that lists, a renderer `OWNER` that takes, and what an operator sees."""

    def __init__(self, factory: Any) -> None:
        self.sessions = factory
        self.rows = OpenRenders(factory)

    async def ask(self, request_id: str = "r1", **changes: Any) -> RenderRequest:
        now = datetime.now(UTC)
        times = {"published_at": now, "deadline": now + timedelta(minutes=5)}
        request = replace(EXAMPLE, id=request_id, **{**times, **changes})
        await self.rows.asked(request)
        await self.rows.written()
        return request

    async def take(self, request: RenderRequest) -> None:
        self.rows.taken(request, OWNER)
        await self.rows.written()

    async def end(self, request: RenderRequest) -> None:
        await RenderRecords(self.sessions).ended(request, NoSteps(), started=datetime.now(UTC))

    def beat(self, work: tuple[str, ...] = (), ago_s: float = 0) -> None:
        """A heartbeat of the renderer."""
        now, details = datetime.now(UTC), {"work": [{"id": one} for one in work]}
        about = {"service": "renderer", "host": "host", "pid": 7, "version": "1", "started_at": now}
        with writing(self.sessions) as session:
            row = Heartbeat(id="renderer:host:7", seen_at=now.timestamp() - ago_s, details=details, **about)
            session.merge(row)

    def seen(self) -> list[tuple[str, str]]:
        """(id, status) of those that have not ended."""
        return [(one.row.id, one.status) for one in waiting.find(self.sessions)[1]]

    def rows_left(self) -> list[str]:
        with self.sessions() as session:
            return list(session.scalars(select(OpenRender.id)))


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: Any, tmp_path: Path) -> Iterator[World]:
    is_sqlite = request.param == "sqlite"
    engine = open_engine(
        f"sqlite:///{tmp_path / 'm.sqlite'}" if is_sqlite else request.getfixturevalue("postgresql").url
    )
    upgrade(engine)
    yield World(sessions(engine))
    engine.dispose()


async def test_a_render_waits_until_a_renderer_takes_it_and_is_gone_when_it_ended(world: World) -> None:
    world.beat()
    request = await world.ask()
    assert world.seen() == [("r1", "Pending")]
    await world.take(request)
    assert world.seen() == [("r1", "Computing")]
    assert waiting.counts(world.sessions) == {"waiting": 0, "rendering": 1}
    await world.end(request)
    assert (world.seen(), world.rows_left()) == ([], [])


async def test_one_that_is_tried_again_after_a_pause_waits_again(world: World) -> None:
    request = await world.ask()
    world.beat(("r1",))  # the heartbeat is older than the pause
    await world.take(request)
    world.rows.given_back(request, OWNER)
    await world.rows.written()
    assert world.seen() == [("r1", "Pending")]
    await world.take(request)
    world.rows.given_back(request, "other:1")  # told late: it is in another's hand by now
    await world.rows.written()
    assert world.seen() == [("r1", "Computing")]


async def test_what_a_renderer_had_that_was_killed_waits_again(world: World) -> None:
    request = await world.ask()
    await world.take(request)
    world.beat(("r1",), ago_s=BEAT_S)
    assert world.seen() == [("r1", "Computing")]
    world.beat(("r1",), ago_s=SILENT_S + 1)
    assert world.seen() == [("r1", "Pending")]
    world.beat()  # another process of the same name, as in a container that was started again
    world.rows.nothing_in_hand(OWNER)
    await world.rows.written()
    assert world.seen() == [("r1", "Pending")]


async def test_a_renderer_of_the_version_before_tells_by_its_heartbeat_and_its_record(world: World) -> None:
    request = await world.ask()
    world.beat(("r1",))
    assert world.seen() == [("r1", "Computing")]
    await world.end(request)
    with writing(world.sessions) as session:
        session.add(OpenRender(**_columns(request)))  # it left the row
    assert world.seen() == []


async def test_a_renderer_tells_of_a_request_that_nobody_listed_and_a_row_that_comes_late_changes_nothing(
    world: World,
) -> None:
    world.beat()
    request = replace(EXAMPLE, id="r1", published_at=datetime.now(UTC), deadline=datetime.now(UTC) + timedelta(hours=1))
    await world.take(request)
    await world.rows.asked(request)
    await world.rows.written()
    assert world.seen() == [("r1", "Computing")]
    world.rows.ended("r1")  # superseded: without a record
    await world.rows.written()
    assert world.rows_left() == []


async def test_past_its_deadline_nothing_is_told_and_the_row_goes(world: World, tmp_path: Path) -> None:
    await world.ask("late", deadline=datetime.now(UTC) - timedelta(seconds=1))
    await world.ask("early")
    assert world.seen() == [("early", "Pending")]
    removed = Retention(world.sessions, make_settings(tmp_path)).prune(datetime.now(UTC))
    assert (removed["open_renders"], world.rows_left()) == (1, ["early"])
    forget_all(world.sessions)
    assert world.rows_left() == []


async def test_what_is_open_stands_before_what_ended_page_by_page(world: World) -> None:
    for number in range(3):
        await world.end(await world.ask(f"e{number}"))
    for number in range(3):
        await world.ask(f"w{number}", executor="ben" if number else "ann")

    def page(offset: int, **wanted: Any) -> tuple[int, list[str]]:
        count, found = history.find(world.sessions, Wanted(**wanted), offset=offset, limit=2)
        return count, [one.row.id if isinstance(one, waiting.Open) else one.id for one in found]

    assert [page(offset) for offset in (0, 2, 4)] == [(6, ["w2", "w1"]), (6, ["w0", "e2"]), (6, ["e1", "e0"])]
    assert page(0, status="Pending", executor="ann") == (1, ["w0"])
    assert page(0, status="Computing") == page(0, code="not_ready") == page(0, status="Pending", code="x") == (0, [])
    assert page(2, status="Updated") == (3, ["e0"])
    assert page(0, correlation_id="other") == page(0, target_kind="dashboard", target_id="0") == (0, [])


async def test_how_many_wait_before_one_counts_its_own_queue(world: World) -> None:
    early = datetime.now(UTC) - timedelta(minutes=1)
    await world.ask("first", published_at=early)
    await world.ask("bulk", published_at=early, origin=Origin.REFRESH)
    await world.take(await world.ask("taken", published_at=early))
    world.beat()
    await world.ask("mine", key="c" * 32)
    found = waiting.of_key(world.sessions, "c" * 32)
    assert found is not None
    assert (found.row.id, waiting.count_before(world.sessions, found)) == ("mine", 1)
    assert waiting.of_key(world.sessions, "d" * 32) is None


async def test_one_that_waits_is_cancelled_with_a_record_and_one_that_ended_keeps_its_own(world: World) -> None:
    await world.ask()
    waits = waiting.one(world.sessions, "r1")
    waiting.cancel(world.sessions, "r1", "ada", waits=waits)
    waiting.cancel(world.sessions, "r1", "ada", waits=waits)  # pressed twice
    request = await world.ask("r2")
    waits = waiting.one(world.sessions, "r2")
    await world.end(request)
    waiting.cancel(world.sessions, "r2", "ada", waits=waits)  # too late
    assert world.seen() == []
    with world.sessions() as session:
        ends = {one.id: (one.status, one.code) for one in session.scalars(select(RenderRecord))}
        sizes = session.get_one(RenderRecord, "r1").sizes
        assert {one.request_id for one in session.scalars(select(Cancellation))} == {"r1", "r2"}
    assert ends == {"r1": ("Error", "cancelled"), "r2": ("Updated", "")}
    assert sizes["thumbnail"]  # refreshing does not forget the picture


async def test_a_purge_takes_what_waits_in_its_queue(world: World) -> None:
    world.beat()
    await world.ask("viewer")
    await world.ask("bulk", origin=Origin.OPERATOR)
    paused, held = await world.ask("paused"), await world.ask("held")
    for request in (paused, held):
        await world.take(request)
    world.rows.given_back(paused, OWNER)
    await world.rows.written()
    waits = waiting.in_queue(world.sessions, viewers=True)
    await world.ask("meanwhile")
    waiting.purged(world.sessions, waits)
    left = [("bulk", "Pending"), ("held", "Computing"), ("meanwhile", "Pending"), ("paused", "Pending")]
    assert sorted(world.seen()) == left


async def test_a_renderer_has_no_more_in_hand_than_it_says(world: World) -> None:
    world.beat()
    held, lost = await world.ask("held"), await world.ask("lost")
    await world.ask("waits")
    world.rows.taken(replace(held, id="another's"), "other:1")
    for request in (held, lost):
        world.rows.taken(request, OWNER)
    world.rows.only_in_hand(OWNER, {"held"})
    world.rows.taken(replace(held, id="next"), OWNER)  # told later
    await world.rows.written()
    assert sorted(world.rows_left()) == ["another's", "held", "next", "waits"]
    world.rows.only_in_hand(OWNER, ())
    await world.rows.written()
    assert sorted(world.rows_left()) == ["another's", "waits"]


async def test_a_cancel_in_the_moment_of_the_end_loses_neither(postgresql: Any) -> None:
    engine = open_engine(postgresql.url)
    upgrade(engine)
    world, loop = World(sessions(engine)), asyncio.get_running_loop()
    ends: list[Future[None]] = []
    request = await world.ask()
    waits = waiting.one(world.sessions, "r1")

    def in_between(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM open_renders") and not ends:
            ends.append(asyncio.run_coroutine_threadsafe(world.end(request), loop))
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:  # what is seen is new
                wait_until(lambda: other.scalar(text(LOCKED)), 10, "that the end waits for the cancel")

    event.listen(engine, "after_cursor_execute", in_between)
    await asyncio.to_thread(waiting.cancel, world.sessions, "r1", "ada", waits=waits)
    await asyncio.wrap_future(ends[0])
    with world.sessions() as session:
        assert session.get_one(RenderRecord, "r1").status == "Updated"  # as it ended, if only just
    assert world.rows_left() == []
    engine.dispose()


async def test_many_at_once_are_few_transactions(world: World) -> None:
    commits: list[Any] = []
    event.listen(world.sessions.kw["bind"], "commit", commits.append)
    requests = [replace(EXAMPLE, id=f"r{number}", deadline=datetime.now(UTC) + timedelta(1)) for number in range(50)]
    for request in requests:
        world.rows.taken(request, OWNER)
    await world.rows.written()
    assert len(world.rows_left()) == 50
    assert len(commits) == 1


async def test_a_database_that_is_locked_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(world.sessions) as session:
        is_sqlite = session.get_bind().dialect.name == "sqlite"  # whose lock this transaction has already
        session.execute(text("SELECT 1" if is_sqlite else "LOCK TABLE open_renders"))
        await world.rows.asked(EXAMPLE)
        assert len(world.rows._writing) == 1
        monkeypatch.setattr(open_renders, "CLOSE_S", 0.1)
        await world.rows.close()  # nor a process that ends
    await world.rows.written()
    assert world.rows_left() == [EXAMPLE.id]  # late, but it came


async def test_a_write_that_fails_is_a_line_in_the_log(world: World) -> None:
    with writing(world.sessions) as session:
        session.execute(text("DROP TABLE open_renders"))
    with structlog.testing.capture_logs() as told:
        await world.ask()
    assert [(line["event"], line["log_level"]) for line in told] == [("open_renders_not_written", "warning")]


def _columns(request: RenderRequest) -> dict[str, Any]:
    about: dict[str, Any] = {"id": request.id, "asked_at": request.published_at, "deadline": request.deadline}
    about |= {"catalog": "native", "sizes": {}, "generation": 1}
    about |= dict.fromkeys(("correlation_id", "target_kind", "target_id", "executor", "key", "origin"), "x")
    return about
