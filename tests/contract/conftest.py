"""Results backends on real servers, and in the process."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.results.files import FileResults
from shared.results.memcached import MemcachedResults
from shared.results.memory import MemoryResults
from shared.results.port import Backend
from shared.results.redis import RedisResults
from shared.results.s3 import S3Results
from tests.harness.seaweedfs import ACCESS_KEY, SECRET_KEY

BACKENDS = ["memory", "file", "memcached", "redis", "s3"]
OpenBackend = Callable[[], Backend]


def backend_opener(name: str, request: pytest.FixtureRequest) -> OpenBackend:
    """Each call opens the same backend once more, as another process would."""
    if name == "memory":
        memory = MemoryResults()
        return lambda: memory
    if name == "file":
        folder = request.getfixturevalue("tmp_path") / "results"
        return lambda: FileResults(folder)
    if name == "redis":
        url = request.getfixturevalue("redis").url
        return lambda: RedisResults(url, "vitrine_results_")
    if name == "s3":
        endpoint = request.getfixturevalue("seaweedfs").endpoint
        url = f"s3://results/{secrets.token_hex(4)}?endpoint={endpoint}&region=us-east-1"
        return lambda: S3Results(url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    server = request.getfixturevalue("memcached")
    return lambda: MemcachedResults([("127.0.0.1", server.port)], "vitrine_results_")


@pytest.fixture(params=BACKENDS)
def open_backend(request: pytest.FixtureRequest) -> Iterator[OpenBackend]:
    open_one = backend_opener(request.param, request)
    with ExitStack() as stack:

        def open_and_close() -> Backend:
            backend = open_one()
            stack.callback(backend.close)
            return backend

        yield open_and_close


@pytest.fixture
def backend(open_backend: OpenBackend) -> Backend:
    return open_backend()
