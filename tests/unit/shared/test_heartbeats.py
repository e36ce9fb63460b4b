"""Heartbeats: rows that tell who lives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from shared.heartbeats import FORGET_S, SILENT_S, Heart, alive
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import Heartbeat
from tests.harness.polling import wait_until_async


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


async def test_a_process_is_there_with_what_it_does_until_it_stops(factory: sessionmaker[Session]) -> None:
    work = [{"id": "1", "what": "native/chart/3"}]
    heart = Heart(factory, "renderer", lambda: {"work": work}, every_s=0.01)
    heart.start()
    await wait_until_async(lambda: alive(factory), 20, "a heartbeat")
    (one,) = alive(factory)
    assert (one.service, one.details["work"], one.is_silent) == ("renderer", work, False)
    assert one.details["memory_mib"] > 10
    work.clear()
    await wait_until_async(lambda: not alive(factory)[0].details["work"], 20, "the next heartbeat")
    await heart.stop()
    assert alive(factory) == []


async def test_one_that_beats_no_more_is_silent_and_then_forgotten(factory: sessionmaker[Session]) -> None:
    stopped = Heart(factory, "renderer")
    await asyncio.to_thread(stopped._beat, {})
    for age_s, silent in ((SILENT_S + 1, [True]), (FORGET_S + 1, [])):
        with factory.begin() as session:
            session.execute(update(Heartbeat).values(seen_at=Heartbeat.seen_at - age_s))
        await asyncio.to_thread(Heart(factory, "gateway")._beat, {})
        assert [one.is_silent for one in alive(factory) if one.service == "renderer"] == silent


async def test_a_database_that_is_down_does_not_end_the_heart(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    heart = Heart(sessions(engine), "gateway", every_s=0.01)
    heart.start()
    upgrade(engine)  # only now are there tables
    await wait_until_async(lambda: alive(sessions(engine)), 20, "a heartbeat")
    await heart.stop()
    engine.dispose()


async def test_what_follows_each_beat_is_carried_out(factory: sessionmaker[Session]) -> None:
    beats: list[int] = []

    async def after() -> None:
        beats.append(len(alive(factory)))

    heart = Heart(factory, "renderer", after=after, every_s=0.01)
    heart.start()
    await wait_until_async(lambda: len(beats) > 2, 20, "three beats")
    await heart.stop()
    assert set(beats) == {1}
