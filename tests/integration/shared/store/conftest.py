"""Both clients of a real Memcached, opened as often as a test likes and closed after it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from shared.store.memcached import open_memcached
from shared.store.memcached_async import open_memcached_async
from shared.store.nodes import Nodes
from tests.harness import Memcached

Open = Callable[..., Nodes]
OPENERS = {"pymemcache": open_memcached, "async": open_memcached_async}


@pytest.fixture
async def open_client() -> AsyncIterator[Open]:
    """`open_client("async", server, …, dead_s=…)`"""
    async with AsyncExitStack() as stack:

        def open_one(client: str, *servers: Memcached, **options: float) -> Nodes:
            nodes = OPENERS[client]([("127.0.0.1", server.port) for server in servers], **options)
            stack.push_async_callback(nodes.close)
            return nodes

        yield open_one


@pytest.fixture(params=OPENERS)
def client(request: pytest.FixtureRequest) -> str:
    """The test runs once for each client."""
    name: str = request.param
    return name
