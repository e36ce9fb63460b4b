"""One round of care for queries: what died is ended, what was lost is published, what was left running is killed."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.orm import Session, sessionmaker

from shared import metrics
from shared.errors import VitrineError
from shared.metadata.models import Database, Query
from shared.queue import QueryPublisher
from shared.settings import Settings
from shared.sqllab.asking import request_of
from shared.sqllab.engines import Engines
from shared.sqllab.records import Queries
from shared.sqllab.sweeping import Sweeper

log = structlog.get_logger(__name__)


class Care:
    def __init__(self, settings: Settings, sessions: sessionmaker[Session], publisher: QueryPublisher) -> None:
        self._sessions = sessions
        self._queries = Queries(sessions)
        self._sweeper = Sweeper(sessions, self._queries)
        self._engines = Engines(settings)
        self._publisher = publisher

    async def once(self) -> None:
        """Raises DatabaseUnavailable, BrokerUnavailable: the next round goes on."""
        metrics.QUERIES_SWEPT.inc(await asyncio.to_thread(self._sweeper.end_what_lapsed))
        for query in await asyncio.to_thread(self._sweeper.left_running):
            await asyncio.to_thread(self._kill, query)
        for query in await asyncio.to_thread(self._sweeper.unpublished):
            await self._publisher.publish_query(request_of(query))
            await asyncio.to_thread(self._queries.published, query.id)
            log.info("query_published_again", query_id=query.id, publications=query.publications + 1)

    def close(self) -> None:
        self._engines.close()

    def _kill(self, query: Query) -> None:
        """Of a database that does not answer nothing can be killed yet: tried again, until it is not worth it."""
        with self._sessions() as session:
            database = session.get(Database, query.database_id) if query.database_id else None
        try:
            found = database is not None and self._engines.of(database).kill(query.server_id or "")
        except VitrineError as error:
            log.warning("query_not_killed", query_id=query.id, code=error.code, reason=error.message)
            if not self._sweeper.is_old(query):
                return
        else:
            log.info("query_killed", query_id=query.id, was_running=found)
        self._sweeper.killed(query)
