"""One round of care for queries: what died is ended, what was lost is published, what was left running is killed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session, sessionmaker

from shared import metrics
from shared.errors import VitrineError
from shared.metadata.models import Database, Query
from shared.queue import QueryPublisher
from shared.sqllab.asking import request_of
from shared.sqllab.engines import Engines
from shared.sqllab.records import Queries
from shared.sqllab.sweeping import Sweeper

log = structlog.get_logger(__name__)


FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0  # before a database that did not answer is asked again; doubled each time


@dataclass(slots=True)
class _Silent:
    """A database that did not answer: until when it is left alone, and for how long after that."""

    until: float
    wait_s: float


class Care:
    def __init__(self, engines: Engines, sessions: sessionmaker[Session], publisher: QueryPublisher) -> None:
        self._sessions = sessions
        self._queries = Queries(sessions)
        self._sweeper = Sweeper(sessions, self._queries)
        self._engines = engines
        self._publisher = publisher
        self._silent: dict[int, _Silent] = {}

    async def once(self) -> None:
        """Raises DatabaseUnavailable, BrokerUnavailable: the next round goes on."""
        metrics.QUERIES_SWEPT.inc(await asyncio.to_thread(self._sweeper.end_what_lapsed))
        for query in await asyncio.to_thread(self._sweeper.unpublished):
            await self._publisher.publish_query(request_of(query))
            await asyncio.to_thread(self._queries.published, query.id)
            log.info("query_published_again", query_id=query.id, publications=query.publications + 1)
        await asyncio.to_thread(self._kill_what_was_left)  # last: a database may take its time not to answer

    def close(self) -> None:
        self._engines.close()

    def _kill_what_was_left(self) -> None:
        """A database that does not answer is asked once, and then left alone for a while."""
        now = time.monotonic()
        silent = {number for number, one in self._silent.items() if one.until > now}
        for query in self._sweeper.left_running(but=silent):
            number = query.database_id or 0
            if number in silent:
                continue
            if self._kill(query):
                self._silent.pop(number, None)
                continue
            silent.add(number)
            wait_s = min(self._silent[number].wait_s * 2, LONGEST_WAIT_S) if number in self._silent else FIRST_WAIT_S
            self._silent[number] = _Silent(time.monotonic() + wait_s, wait_s)

    def _kill(self, query: Query) -> bool:
        """Whether its database answered. One that did not is asked again, until that is not worth it."""
        with self._sessions() as session:
            database = session.get(Database, query.database_id) if query.database_id else None
        try:
            found = database is not None and self._engines.of(database).kill(query.server_id or "")
        except VitrineError as error:
            log.warning("query_not_killed", query_id=query.id, code=error.code, reason=error.message)
            if self._sweeper.is_old(query):
                self._sweeper.killed(query)
            return False
        log.info("query_killed", query_id=query.id, was_running=found)
        self._sweeper.killed(query)
        return True
