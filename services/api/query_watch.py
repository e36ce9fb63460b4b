"""Waiting for queries without asking the database once for each who waits: one look for all of this gateway.

A look costs one SELECT, is made only while somebody waits or listens, and finds what any gateway and any worker wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from services.api.blocking import Blocking
from shared.errors import DatabaseUnavailable, TooManyRequests
from shared.metadata.models import Query
from shared.sqllab.history import History

log = structlog.get_logger(__name__)
SOONEST_S = 0.02  # no query has ended before that
EARLY_S, LATE_S = 0.005, 0.25  # between two looks for the end of queries
LISTEN_EARLY_S, LISTEN_LATE_S = 0.03, 0.3  # between two looks for changes
OWN_LISTENERS = 20  # of one person in one gateway process
BEHIND = 1000  # changes that a listener may not have read yet; older ones are dropped, the newest tell all


def waiting_pause_s(waited_s: float) -> float:
    """A tenth of how long the newest query was waited for: the end of a short one is seen at once, as below."""
    return max(SOONEST_S - waited_s, min(max(EARLY_S, waited_s / 10), LATE_S))


def listening_pause_s(unchanged_s: float) -> float:
    """A tenth of how long nothing changed: a short query is told of at once, a long one costs few looks."""
    return min(max(LISTEN_EARLY_S, unchanged_s / 10), LISTEN_LATE_S)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Listener:
    """Whose changes are listened to; None: everybody's; "": nobody's, whatever the operator asked."""

    username: str | None
    news: deque[Query] = field(default_factory=lambda: deque(maxlen=BEHIND))
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def hears_of(self, query: Query) -> bool:
        return self.username is None or (bool(self.username) and query.username == self.username)

    async def next(self, timeout_s: float) -> list[Query]:
        """What came since the last time; [] when nothing did within the time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.came.wait(), timeout_s)
        self.came.clear()
        news = list(self.news)
        self.news.clear()
        return news


class QueryWatch:
    """For one event loop."""

    def __init__(self, history: History, blocking: Blocking, most_listeners: int) -> None:
        self._history = history
        self._blocking = blocking
        self._most = most_listeners
        self.is_ending = False
        self._waiting: dict[int, asyncio.Future[Query]] = {}
        self._asked_at = 0.0
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()  # what an answer that never began had
        self._since = 0.0
        self._changed_at = 0.0
        self._seen: dict[int, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ended(self, query_id: int, timeout_s: float) -> Query | None:
        """The query when it has ended; None when it has not within the time."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        future = self._waiting.setdefault(query_id, loop.create_future())
        self._run("ends", self._look_for_ends)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        self._waiting.pop(query_id, None)
        return None

    def check_room(self, username: str | None) -> None:
        """Raises TooManyRequests when this gateway process, or this person, has as many listeners as may be."""
        own = sum(listener.username == username for listener in self._listeners)
        if len(self._listeners) >= self._most or own >= OWN_LISTENERS:
            raise TooManyRequests("Too many connections listen to queries already; close some.", retry_after_s=5)

    async def listen(self, username: str | None) -> Listener:
        """Changes of queries from now on, of one person (None: of all), until the gateway ends.

        Whoever looks at the queries after this misses none. Raises DatabaseUnavailable.
        """
        listener = Listener(username)
        self._listeners.add(listener)
        if not self._since:
            now, recent = await self._blocking(self._history.changed, 0.0)
            if not self._since:  # two who begin at once: the earlier look counts
                self._note(now, recent)
        self._run("changes", self._look_for_changes)
        return listener

    def leave(self, listener: Listener) -> None:
        """It listens no more."""
        self._listeners.discard(listener)

    def hang_up(self) -> None:
        """The gateway is about to end: whoever listens shall connect again, to another."""
        self.is_ending = True
        for listener in self._listeners:
            listener.came.set()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._tasks.values())

    def _run(self, name: str, look: Callable[[], Awaitable[bool]]) -> None:
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.create_task(self._repeat(look))

    async def _repeat(self, look: Callable[[], Awaitable[bool]]) -> None:
        going = True
        while going:
            try:
                going = await look()
            except DatabaseUnavailable as error:  # whoever waits has a time limit; the next look may succeed
                log.warning("queries_not_seen", reason=error.message)
                await asyncio.sleep(LATE_S)

    async def _look_for_ends(self) -> bool:
        await asyncio.sleep(waiting_pause_s(asyncio.get_running_loop().time() - self._asked_at))
        for query in await self._blocking(self._history.ended_of, list(self._waiting)):
            future = self._waiting.pop(query.id, None)
            if future is not None and not future.done():
                future.set_result(query)
        return bool(self._waiting)

    async def _look_for_changes(self) -> bool:
        now, changed = await self._blocking(self._history.changed, self._since)
        news = [query for query in changed if self._seen.get(query.id) != query.changed_at]
        self._tell(news)
        self._note(now, changed)
        clock = asyncio.get_running_loop().time
        if news:
            self._changed_at = clock()
        await asyncio.sleep(listening_pause_s(clock() - self._changed_at))
        if not self._listeners:
            self._since = 0.0
        return bool(self._listeners)

    def _note(self, now: float, changed: Sequence[Query]) -> None:
        self._since = now
        self._seen = {query.id: query.changed_at for query in changed}

    def _tell(self, changed: Sequence[Query]) -> None:
        for listener in self._listeners:
            mine = [query for query in changed if listener.hears_of(query)]
            listener.news.extend(mine)
            if mine:
                listener.came.set()
