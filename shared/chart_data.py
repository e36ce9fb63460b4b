"""Rows for charts and filters: from the store, or read once for all who wait, whichever process they ask.

Page, renderer and warm-up ask here with a `DataQuery`, which the catalog builds for all of them. A stale entry is
served at once and read anew behind the answer. Without a store the database is asked directly: slower, but right.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from shared import errors, metrics, tracing
from shared.errors import DatabaseUnavailable, NotKept, StoreUnavailable, VitrineError
from shared.store.data import FLIGHT_S, DataEntries, Entry, Flight

if TYPE_CHECKING:  # the catalog builds queries, and keeps its rows through us
    from shared.catalog.queries import DataQuery

log = structlog.get_logger(__name__)
Run = Callable[["DataQuery"], Awaitable[bytes]]
POLL_S = (0.02, 0.05, 0.1, 0.2)  # between looks at somebody else's flight; the last one repeats
SPARE_S = 30  # how much longer than a query's own limit we wait for somebody else's
_SHARED = {cls.code: cls for cls in (errors.QueryFailed, errors.QueryRefused, errors.DatabaseUnavailable)}


class Came(StrEnum):
    """How rows came: the value of X-Cache."""

    HIT = "HIT"
    STALE = "STALE"
    MISS = "MISS"
    BYPASS = "BYPASS"  # nothing is kept: the ttl is 0, or the store does not answer


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows and how they came."""

    entry: Entry
    came: Came

    @property
    def is_cached(self) -> bool:
        return self.came in (Came.HIT, Came.STALE)


@dataclass(slots=True)
class _Going:
    """A flight of this process."""

    task: asyncio.Task[Answer]
    began_at: datetime


class ChartData:
    """For one event loop. `run` sends a query to its database and gives the rows as JSON text, or raises."""

    def __init__(self, entries: DataEntries, run: Run, *, query_timeout_s: float) -> None:
        self._entries = entries
        self._run = run
        self._patience_s = query_timeout_s + SPARE_S
        self._going: dict[str, _Going] = {}
        self._without_store: dict[str, _Going] = {}

    async def get(self, query: DataQuery, *, force: bool = False, warmed_by: str = "") -> Answer:
        """Raises what the query raises: QueryRefused, QueryFailed, DatabaseUnavailable.

        `force`: rows whose query is sent after this call began. `warmed_by`: the run on whose behalf they are read.
        """
        try:
            answer = await self._get(query, force=force, warmed_by=warmed_by)
        except VitrineError:
            metrics.DATA_READS.labels("error").inc()
            raise
        metrics.DATA_READS.labels(answer.came.lower()).inc()
        return answer

    async def peek(self, query: DataQuery) -> Entry | None:
        """What the store holds, also what is only for those who asked before. Raises StoreUnavailable."""
        return await self._entries.read(query.key, handed_over=True)

    async def read(self, query: DataQuery, run: Run, *, newer_than: datetime | None = None) -> Entry:
        """For whoever may take long: an entry that will do, or rows that `run` reads and that are kept, read back.

        Waits for somebody else's reading, but what that one fails of is not told: it may have had less time.
        Raises what `run` raises, StoreUnavailable, NotKept.
        """
        looks = 0
        while True:
            entry = await self._entries.read(query.key, handed_over=True)
            if entry is not None and _will_do(entry, newer_than):
                return entry
            flight, ours = await self._entries.take_off(query.key)
            if ours:
                return await self._kept(query, (await self._compute(query, flight, "", run)).entry)
            await asyncio.sleep(POLL_S[min(looks, len(POLL_S) - 1)])
            looks += 1

    async def _kept(self, query: DataQuery, entry: Entry) -> Entry:
        kept = await self._entries.read(query.key, handed_over=True)
        if kept is None or kept.began_at < entry.began_at:
            raise NotKept("The rows were read, but the store does not have them; is it full, or was it restarted?")
        return kept

    def served_until(self, entry: Entry) -> datetime:
        """Until when an entry is served: fresh, and then stale while it is read anew."""
        return self._entries.served_until(entry)

    async def close(self) -> None:
        """Lets what is being read behind answers end, shortly."""
        if tasks := [going.task for going in (*self._going.values(), *self._without_store.values())]:
            await asyncio.wait(tasks, timeout=2)

    async def _get(self, query: DataQuery, *, force: bool, warmed_by: str) -> Answer:
        if query.ttl_s <= 0:
            return await self._read_only(query)
        asked_at = datetime.now(UTC)
        try:
            entry = None if force else await self._entries.read(query.key)
            if entry is None:
                return await self._join(query, asked_at if force else None, warmed_by)
            if entry.is_fresh(asked_at):
                return Answer(entry, Came.HIT)
            self._set_off(query, None, "")
            return Answer(entry, Came.STALE)
        except StoreUnavailable as error:
            log.warning("data_store_unavailable", reason=error.message)
            return await self._bypass(query, asked_at if force else None)

    async def _join(self, query: DataQuery, newer_than: datetime | None, warmed_by: str) -> Answer:
        """Our own process first: many waiters here are one in the store. `newer_than` is set for a forced read."""
        while (going := self._going.get(query.key)) and newer_than and going.began_at < newer_than:
            await asyncio.wait([going.task])
        joined = going is not None
        going = going or self._set_off(query, newer_than, warmed_by)
        # Shielded: a client that hangs up must not fail the others who wait for the same rows.
        answer = await asyncio.shield(going.task)
        return replace(answer, came=Came.HIT) if joined and answer.came is Came.MISS else answer

    def _set_off(self, query: DataQuery, newer_than: datetime | None, warmed_by: str) -> _Going:
        going = self._going.get(query.key)
        if going is None:
            task = asyncio.create_task(self._fly(query, newer_than, warmed_by))
            going = self._going[query.key] = _Going(task, datetime.now(UTC))
            task.add_done_callback(lambda done: self._landed(query.key, done))
        return going

    def _landed(self, key: str, done: asyncio.Task[Answer]) -> None:
        self._going.pop(key, None)
        if not done.cancelled() and (error := done.exception()) is not None:  # seen here: nobody may be waiting
            log.debug("data_not_read", key=key, error=str(error))

    async def _fly(self, query: DataQuery, newer_than: datetime | None, warmed_by: str) -> Answer:
        """Until there is an entry that will do: take off if nobody has, else wait for whoever has."""
        give_up, waited_for, looks = time.monotonic() + self._patience_s, "", 0
        while True:
            entry = await self._entries.read(query.key, handed_over=True)
            if entry is not None and _will_do(entry, newer_than):
                return Answer(entry, Came.HIT)
            flight, ours = await self._entries.take_off(query.key)
            if ours:
                return await self._compute(query, flight, warmed_by, self._run)
            if time.monotonic() > give_up:
                raise DatabaseUnavailable(
                    "Another process did not finish reading these rows in time; try again. Where they take long, ask "
                    "for them in the background (POST /api/v1/chart/data)."
                )
            waited_for = flight.owner
            await self._wait_for(query.key, waited_for, looks)
            looks += 1

    async def _wait_for(self, key: str, owner: str, looks: int) -> None:
        """One look later. Raises the failure of the flight that we wait for."""
        await asyncio.sleep(POLL_S[min(looks, len(POLL_S) - 1)])
        flight = await self._entries.flight(key)
        if flight is not None and flight.owner == owner and flight.code in _SHARED:
            raise _SHARED[flight.code](flight.reason)

    async def _compute(self, query: DataQuery, flight: Flight, warmed_by: str, run: Run) -> Answer:
        beating = asyncio.create_task(self._beat(query.key, flight))
        code, reason = "landed", ""
        try:
            entry = await self._read(query, run, warmed_by)
            try:
                await self._entries.put(query.key, entry)
            except StoreUnavailable as error:  # the rows are good all the same
                log.warning("data_not_kept", key=query.key, reason=error.message)
            return Answer(entry, Came.MISS)
        except VitrineError as error:
            code, reason = error.code, error.message
            raise
        finally:
            beating.cancel()
            await self._land(query.key, flight, code, reason)

    async def _land(self, key: str, flight: Flight, code: str, reason: str) -> None:
        try:
            await self._entries.land(key, flight, code=code, reason=reason)
        except StoreUnavailable as error:
            log.warning("data_flight_not_landed", key=key, reason=error.message)

    async def _beat(self, key: str, flight: Flight) -> None:
        while True:
            await asyncio.sleep(FLIGHT_S / 3)
            try:
                if not await self._entries.go_on(key, flight):
                    return
            except StoreUnavailable:
                continue  # the flight itself goes on; at worst somebody else computes the same

    async def _read(self, query: DataQuery, run: Run, warmed_by: str = "") -> Entry:
        began_at = datetime.now(UTC)
        try:
            with metrics.ORIGIN_SECONDS.time(), tracing.span("query of a chart", key=query.key):
                body = await run(query)
        except VitrineError as error:
            metrics.ORIGIN_QUERIES.labels(error.code).inc()
            raise
        metrics.ORIGIN_QUERIES.labels("ok").inc()
        now = datetime.now(UTC)
        fresh_until = now + timedelta(seconds=query.ttl_s) if query.ttl_s > 0 else began_at
        return Entry(body, began_at, now, fresh_until, warmed_by)

    async def _read_only(self, query: DataQuery) -> Answer:
        return Answer(await self._read(query, self._run), Came.BYPASS)

    async def _bypass(self, query: DataQuery, newer_than: datetime | None) -> Answer:
        """One query for all who wait in this process; without a store it knows of no other."""
        going = self._without_store.get(query.key)
        if going is None or (newer_than and going.began_at < newer_than):
            task = asyncio.create_task(self._read_only(query))
            going = self._without_store[query.key] = _Going(task, datetime.now(UTC))
            task.add_done_callback(lambda done: self._bypassed(query.key, done))
        return await asyncio.shield(going.task)

    def _bypassed(self, key: str, done: asyncio.Task[Answer]) -> None:
        going = self._without_store.get(key)
        if going is not None and going.task is done:  # a forced one may have taken its place
            del self._without_store[key]
        if not done.cancelled() and (error := done.exception()) is not None:  # seen here: nobody may be waiting
            log.debug("data_not_read", key=key, error=str(error))


def _will_do(entry: Entry, newer_than: datetime | None) -> bool:
    return entry.began_at >= newer_than if newer_than else entry.is_fresh(datetime.now(UTC))
