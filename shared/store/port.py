"""The one port of the store: a key-value cache with claims. All about pictures is built on it, once, in `pictures.py`.

Keys are ASCII without blanks, at most 250 bytes with the prefix (Memcached's limit); another key is InvalidInput. A
value is raw bytes. Every method raises `StoreUnavailable` when the store does not answer, and never returns a
stand-in for an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from shared.errors import InvalidInput

_KEY = re.compile(r"[!-~]{1,250}")
MAX_VALUE_BYTES = 1_000_000  # safely below Memcached's default item limit of 1 MiB, headers included


def check_key(key: str) -> str:
    """The key itself. Raises InvalidInput for one that Memcached would refuse, or read as another command."""
    if _KEY.fullmatch(key) is None:
        raise InvalidInput(f"{key[:60]!r} is no key: it takes 1 to 250 ASCII characters without blanks.", field="key")
    return key


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What one node of the store holds, and how it fared since it started. None: it does not count that."""

    node: str
    up: bool
    items: int = 0
    size_bytes: int = 0
    limit_bytes: int = 0
    evictions: int | None = None
    hits: int | None = None
    misses: int | None = None
    reason: str = ""  # why it is not up


class KeyValue(Protocol):
    """What every adapter offers: Memcached (two clients), disk, memory. All are safe to use from one event loop."""

    async def get(self, key: str) -> bytes | None: ...

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        """Only the keys that were found."""
        ...

    async def gets(self, key: str) -> tuple[bytes, Any] | None:
        """The value and an opaque token for `cas`."""
        ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Raises StoreUnavailable also when the store refused to keep the value. `ttl_s` may exceed 30 days."""
        ...

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        """True if the key was absent and is now set: the claim."""
        ...

    async def cas(self, key: str, value: bytes, token: Any, ttl_s: float) -> bool:
        """True if nobody changed the key since `gets` gave the token."""
        ...

    async def delete(self, key: str) -> None: ...

    async def check(self) -> str:
        """One line on what answers (name and version, nodes); raises StoreUnavailable with the reason."""
        ...

    async def stats(self) -> list[NodeStats]:
        """Of every node, those that do not answer too: it never raises for them."""
        ...

    async def close(self) -> None: ...
