"""One query for many who wait: here several ChartData over one store play several processes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.catalog.queries import DataQuery
from shared.chart_data import Came, ChartData
from shared.errors import DatabaseUnavailable, NotKept, QueryFailed, StoreUnavailable
from shared.store.data import DataEntries
from shared.store.memory import Memory

QUERY = DataQuery("k", "SELECT 1", (), "db", "sqlite:///x", ttl_s=60)


class Origin:
    """A database that counts, waits until told, and fails when told."""

    def __init__(self):
        self.queries = 0
        self.error = None
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def run(self, query):
        self.queries += 1
        number = self.queries
        self.asked.set()
        await self.open.wait()
        if self.error:
            raise self.error
        return b'{"n":%d}' % number


class BadStore(Memory):
    async def get(self, key):
        raise StoreUnavailable("down")


@pytest.fixture
def origin():
    return Origin()


@pytest.fixture
def process(origin):
    """`process()`: another process over the same store."""
    kv = Memory()
    return lambda kv=kv: ChartData(DataEntries(kv, "p_", stale_s=60), origin.run, query_timeout_s=1)


async def test_rows_that_are_never_kept_are_read_once_for_all_who_asked_before(process, origin):
    query, asked_at = replace(QUERY, ttl_s=0), datetime.now(UTC)
    origin.open.clear()
    one, other = process(), process()
    reading = [asyncio.create_task(each.read(query, origin.run, newer_than=asked_at)) for each in (one, other)]
    await origin.asked.wait()
    origin.open.set()
    assert {entry.body for entry in await asyncio.gather(*reading)} == {b'{"n":1}'}
    entry = await other.peek(query)
    assert entry is not None
    assert (origin.queries, entry.body) == (1, b'{"n":1}')
    assert (await one.get(query)).came is Came.BYPASS


async def test_whoever_may_take_long_does_not_take_the_failure_of_one_that_may_not(process, origin):
    origin.open.clear()
    origin.error = QueryFailed("took longer than 30 s")
    viewer = asyncio.create_task(process().get(QUERY))
    await origin.asked.wait()
    patient = Origin()
    reading = asyncio.create_task(process().read(QUERY, patient.run))
    await asyncio.sleep(0.1)  # let it look at the flight
    assert patient.queries == 0
    origin.open.set()
    assert (await reading).body == b'{"n":1}'
    assert patient.queries == 1
    with pytest.raises(QueryFailed):
        await viewer


async def test_viewers_wait_for_whoever_may_take_long_and_are_told_how_that_failed(process, origin):
    patient = Origin()
    patient.open.clear()
    patient.error = QueryFailed("no such column")
    reading = asyncio.create_task(process().read(QUERY, patient.run))
    await patient.asked.wait()
    viewer = asyncio.create_task(process().get(QUERY))
    await asyncio.sleep(0.1)  # let it look at the flight
    patient.open.set()
    for failure in await asyncio.gather(reading, viewer, return_exceptions=True):
        assert str(failure) == "no such column"
    assert origin.queries == 0


class Forgetful(Memory):
    """Takes entries and has none."""

    async def set(self, key, value, ttl_s):
        """Nothing is kept."""


async def test_rows_that_the_store_does_not_keep_are_no_success_in_the_background(process, origin):
    with pytest.raises(NotKept):
        await process(Forgetful()).read(QUERY, origin.run)
    with pytest.raises(StoreUnavailable):
        await process(BadStore()).read(QUERY, origin.run)


async def test_many_in_many_processes_cost_one_query(process, origin):
    origin.open.clear()
    asking = [asyncio.create_task(one.get(QUERY)) for one in (process(), process(), process()) for _ in range(20)]
    await origin.asked.wait()
    origin.open.set()
    answers = await asyncio.gather(*asking)
    assert origin.queries == 1
    assert {answer.entry.body for answer in answers} == {b'{"n":1}'}
    assert sum(answer.came is Came.MISS for answer in answers) == 1


async def test_a_fresh_entry_is_a_hit_in_every_process(process, origin):
    await process().get(QUERY)
    assert (await process().get(QUERY)).came is Came.HIT
    assert origin.queries == 1


async def test_a_stale_entry_is_served_at_once_and_read_anew_behind_it(process, origin):
    entries, data = process()._entries, process()
    old = (await data.get(QUERY)).entry
    then = datetime.now(UTC) - timedelta(seconds=1)
    await entries.put("k", type(old)(old.body, then, then, then))
    answer = await data.get(QUERY)
    assert (answer.came, answer.entry.body, answer.is_cached) == (Came.STALE, b'{"n":1}', True)
    await data.close()
    assert (await data.get(QUERY)).entry.body == b'{"n":2}'


async def test_force_reads_anew_and_does_not_take_the_rows_of_an_earlier_flight(process, origin):
    data = process()
    origin.open.clear()
    early = asyncio.create_task(data.get(QUERY))
    await origin.asked.wait()
    forced = [asyncio.create_task(one.get(QUERY, force=True)) for one in (data, data, process())]
    await asyncio.sleep(0)
    origin.open.set()
    assert (await early).entry.body == b'{"n":1}'
    assert {(await one).entry.body for one in forced} == {b'{"n":2}'}
    assert origin.queries == 2


async def test_a_failure_is_told_to_all_who_waited_and_not_kept(process, origin):
    origin.open.clear()
    origin.error = QueryFailed("no such column")
    asking = [asyncio.create_task(process().get(QUERY)) for _ in range(3)]
    await origin.asked.wait()
    await asyncio.sleep(0.1)  # let the others look at the flight
    origin.open.set()
    failures = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(failure) for failure in failures] == ["no such column"] * 3
    assert origin.queries == 1
    origin.error = None
    assert (await process().get(QUERY)).came is Came.MISS


async def test_the_flight_of_a_process_that_died_is_taken_over(process, origin, monkeypatch):
    monkeypatch.setattr("shared.store.data.FLIGHT_S", 0.2)
    await process()._entries.take_off("k")  # and never lands
    assert (await process().get(QUERY)).came is Came.MISS


async def test_a_viewer_who_has_waited_long_enough_is_told_where_it_may_take_longer(process, monkeypatch):
    monkeypatch.setattr("shared.chart_data.SPARE_S", -1)  # and the query's own limit: nothing
    await process()._entries.take_off("k")
    with pytest.raises(DatabaseUnavailable, match="in the background"):
        await process().get(QUERY)


async def test_a_slow_flight_keeps_its_place(process, origin, monkeypatch):
    monkeypatch.setattr("shared.store.data.FLIGHT_S", 0.4)
    monkeypatch.setattr("shared.chart_data.FLIGHT_S", 0.4)
    origin.open.clear()
    asking = [asyncio.create_task(process().get(QUERY)) for _ in range(2)]
    await asyncio.sleep(1)  # several lives of a flight
    origin.open.set()
    await asyncio.gather(*asking)
    assert origin.queries == 1


async def test_without_a_store_the_database_is_asked(process, origin):
    data = process(BadStore())
    assert [(await data.get(QUERY)).came for _ in range(2)] == [Came.BYPASS] * 2


async def test_a_ttl_of_nothing_keeps_nothing(process, origin):
    query = DataQuery("k", "SELECT 1", (), "db", "sqlite:///x", ttl_s=0)
    assert [(await process().get(query)).came for _ in range(2)] == [Came.BYPASS] * 2
    assert origin.queries == 2


async def test_whoever_hangs_up_does_not_take_the_rows_from_the_others(process, origin):
    data = process()
    origin.open.clear()
    first, second = (asyncio.create_task(data.get(QUERY)) for _ in range(2))
    await origin.asked.wait()
    first.cancel()
    origin.open.set()
    assert (await second).entry.body == b'{"n":1}'


async def test_a_database_that_is_down_is_an_error_not_an_entry(process, origin):
    origin.error = DatabaseUnavailable("down")
    with pytest.raises(DatabaseUnavailable):
        await process().get(QUERY)


async def test_without_a_store_many_who_wait_in_a_process_cost_one_query(process, origin):
    data = process(BadStore())
    origin.open.clear()
    asking = [asyncio.create_task(data.get(QUERY)) for _ in range(20)]
    await origin.asked.wait()
    await asyncio.sleep(0)  # all of them wait
    forced = asyncio.create_task(data.get(QUERY, force=True))
    await asyncio.sleep(0)
    origin.open.set()
    assert {(answer.came, answer.entry.body) for answer in await asyncio.gather(*asking)} == {(Came.BYPASS, b'{"n":1}')}
    assert (await forced).entry.body == b'{"n":2}'  # what is asked with force is read after it was asked
    assert (await data.get(QUERY)).entry.body == b'{"n":3}'
