"""Results in Redis or Valkey. Its own expiry; what it cannot keep (`noeviction`) it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from shared.errors import InvalidInput, ResultsUnavailable

T = TypeVar("T")
MAX_ITEM_BYTES = 8 * 2**20
CONNECT_TIMEOUT_S = 3.0
TIMEOUT_S = 15.0
RETRIES = 2
BATCH = 500  # names deleted at once
OPTIONS = ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname")


class RedisResults:
    """A `port.Backend`; `url` is redis:// or rediss://. Raises InvalidInput for one that redis-py cannot read."""

    max_item_bytes = MAX_ITEM_BYTES

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self._place = _place(url)
        try:
            self._client: Any = redis.Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=TIMEOUT_S,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), RETRIES),
            )
        except ValueError:  # whose text may hold the password
            raise _refused("must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS") from None

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        self._run(lambda client: client.set(self._prefix + name, value, px=max(1, math.ceil(ttl_s * 1000))))

    def get(self, name: str) -> bytes | None:
        value: bytes | None = self._run(lambda client: client.get(self._prefix + name))
        return value

    def delete(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), BATCH):
            keys = [self._prefix + name for name in names[start : start + BATCH]]
            self._run(lambda client, keys=keys: client.unlink(*keys))  # type: ignore[misc]  # bound at once

    def sweep(self) -> None:
        """Redis forgets by itself."""

    def check(self) -> str:
        info = self._run(lambda client: client.info("server"))
        return f"Redis {info['redis_version']} at {self._place}"

    def close(self) -> None:
        self._client.close()

    def _run(self, command: Callable[[Any], T]) -> T:
        try:
            return command(self._client)
        except redis.RedisError as error:
            raise ResultsUnavailable(
                f"Redis at {self._place} does not do its work: {error}. Does it run, has it memory, and does "
                "VITRINE_RESULTS_URL name it?"
            ) from error


def _place(url: str) -> str:
    """host:port, for people. Raises InvalidInput for an option that we do not pass on."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError:
        raise _refused("its port is no number") from None
    if not host:
        raise _refused("must be redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS")
    if unknown := sorted(set(parse_qs(parts.query, keep_blank_values=True)) - set(OPTIONS)):
        raise _refused(f"{unknown[0]!r} is no option; there are {', '.join(OPTIONS)}")
    return f"{host}:{port}"


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"VITRINE_RESULTS_URL: {why}.", field="results_url")
