"""The way of a query into the queue: its row, and one message. Gateway and command line enter here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from shared.errors import TooManyRequests, VitrineError
from shared.messages.query import QueryRequest
from shared.metadata.models import Query
from shared.queue import QueryPublisher
from shared.sqllab.records import End, Order, Queries
from shared.sqllab.states import QueryState

log = structlog.get_logger(__name__)


class Asking:
    """`rate`: how many queries a person may ask for in a second."""

    def __init__(self, queries: Queries, publisher: QueryPublisher, *, rate: int) -> None:
        self._queries = queries
        self._publisher = publisher
        self._rate = rate

    async def ask(self, order: Order) -> Query:
        """The new query, or the one that reads the same chart's rows already.

        Raises BrokerUnavailable, and then the query failed; TooManyRequests, InvalidInput, DatabaseUnavailable.
        """
        query = await asyncio.to_thread(self._queries.make, order, rate=self._rate, to_publish=True)
        if query is None:
            raise TooManyRequests(f"At most {self._rate} queries a second; wait a little.", retry_after_s=1)
        if query.client_id != order.client_id:
            return query
        try:
            await self._publisher.publish_query(request_of(query))
        except VitrineError as error:
            await asyncio.to_thread(self._queries.end_lapsed, query, End(QueryState.FAILED, error.code, error.message))
            raise
        log.info("query_published", query_id=query.id, queue=query.queue)
        return query


def request_of(query: Query) -> QueryRequest:
    """Its message; the same one for the same query."""
    return QueryRequest(
        id=query.client_id,
        query_id=query.id,
        queue=query.queue,
        published_at=datetime.now(UTC),
        deadline=datetime.fromtimestamp(query.deadline_at, UTC),
        correlation_id=query.correlation_id,
    )
