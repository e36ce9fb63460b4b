"""What the resources' tests share beyond the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.samples.query_worker import QueryWorker


@pytest_asyncio.fixture
async def worker(gateway: Any, publisher: Any) -> AsyncIterator[QueryWorker]:
    """The query process, which works when it is told to."""
    made = QueryWorker(gateway.services, publisher.queries)
    yield made
    made.close()
