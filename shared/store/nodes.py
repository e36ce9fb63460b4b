"""A KeyValue over several Memcached nodes: which one has a key, what happens when one is dead. Both clients share it.

Nodes are chosen as pymemcache's HashClient chooses them (its RendezvousHash over `host:port` names), so that every
process with the same `store_url` looks in the same place. A node that does not answer leaves the ring for DEAD_S: its
keys are misses and what is written meanwhile goes to the others. Only when no node is left is the store unavailable. A
single node never leaves: each command tries it anew.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from pymemcache.client.rendezvous import RendezvousHash

from shared.errors import StoreUnavailable
from shared.store import node_stats
from shared.store.port import NodeStats, check_key

log = structlog.get_logger(__name__)
T = TypeVar("T")
DEAD_S = 3.0
CONNECT_TIMEOUT_S = 1.0
MAX_RELATIVE_S = 30 * 86_400  # a larger number is a date to Memcached
REMEMBERED_PLACES = 20_000


class Node(Protocol):
    """One Memcached. Commands raise OSError when it does not answer, StoreUnavailable when it answers with a refusal.

    Keys are checked already; `expire` is as Memcached reads it.
    """

    @property
    def name(self) -> str:
        """host:port"""
        ...

    async def get(self, key: str) -> bytes | None: ...

    async def get_many(self, keys: list[str]) -> dict[str, bytes]: ...

    async def gets(self, key: str) -> tuple[bytes, int] | None: ...

    async def set(self, key: str, value: bytes, expire: int) -> None: ...

    async def add(self, key: str, value: bytes, expire: int) -> bool: ...

    async def cas(self, key: str, value: bytes, unique: int, expire: int) -> bool: ...

    async def delete(self, key: str) -> None: ...

    async def version(self) -> str: ...

    async def close(self) -> None: ...


class Nodes:
    """A KeyValue over `nodes`; for one event loop."""

    def __init__(self, nodes: Sequence[Node], *, dead_s: float = DEAD_S) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._only = nodes[0] if len(self._nodes) == 1 else None
        self._dead: dict[str, float] = {}  # name → when it was found dead, monotonic
        self._dead_s = dead_s
        self._places: dict[str, Node] = {}  # the hash is pure Python, 30 µs a node: remember what it said
        self._ring = RendezvousHash(list(self._nodes))

    async def get(self, key: str) -> bytes | None:
        return await self._on_node(check_key(key), lambda node: node.get(key))

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        groups: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            groups[self._node_of(check_key(key)).name].append(key)
        parts = await asyncio.gather(*(self._get_group(self._nodes[name], group) for name, group in groups.items()))
        return {key: value for part in parts for key, value in part.items()}

    async def gets(self, key: str) -> tuple[bytes, Any] | None:
        async def command(node: Node) -> tuple[bytes, Any] | None:
            found = await node.gets(key)
            return (found[0], (node.name, found[1])) if found else None

        return await self._on_node(check_key(key), command)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        expire = expire_of(ttl_s)
        await self._on_node(check_key(key), lambda node: node.set(key, value, expire))

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        expire = expire_of(ttl_s)
        return await self._on_node(check_key(key), lambda node: node.add(key, value, expire))

    async def cas(self, key: str, value: bytes, token: Any, ttl_s: float) -> bool:
        name, unique = token
        expire = expire_of(ttl_s)

        async def command(node: Node) -> bool:
            # Another node counts for itself: by chance its item could bear the same number.
            return node.name == name and await node.cas(key, value, unique, expire)

        return await self._on_node(check_key(key), command)

    async def delete(self, key: str) -> None:
        await self._on_node(check_key(key), lambda node: node.delete(key))

    async def check(self) -> str:
        """Asks every node, those counted dead too."""
        answers = await asyncio.gather(*(node.version() for node in self._nodes.values()), return_exceptions=True)
        alive, silent = [], []
        for name, answer in zip(self._nodes, answers, strict=True):
            if isinstance(answer, str):
                alive.append(f"{name} ({answer})")
            elif isinstance(answer, OSError | StoreUnavailable):
                silent.append(f"{name} ({_reason(answer)})")
            else:
                raise answer
        if not alive:
            raise _unavailable(", ".join(silent))
        return f"Memcached at {', '.join(alive)}" + (f"; not answering: {', '.join(silent)}" if silent else "")

    async def stats(self) -> list[NodeStats]:
        return list(await asyncio.gather(*map(node_stats.ask, self._nodes)))

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()

    async def _on_node(self, key: str, command: Callable[[Node], Awaitable[T]]) -> T:
        while True:
            node = self._only or self._node_of(key)
            try:
                return await command(node)
            except OSError as error:
                self._bury(node, error)  # raises when it was the last one, so this loop ends

    async def _get_group(self, node: Node, keys: list[str]) -> dict[str, bytes]:
        try:
            return await node.get_many(keys)
        except OSError as error:
            self._bury(node, error)
            return {}  # misses: the other nodes do not have them

    def _node_of(self, key: str) -> Node:
        """Raises StoreUnavailable while all nodes are dead."""
        if self._dead:
            self._raise_the_dead()
        if place := self._places.get(key):
            return place
        name = self._ring.get_node(key)
        if name is None:
            raise _unavailable(f"{', '.join(self._nodes)} (not answering)")
        if len(self._places) >= REMEMBERED_PLACES:
            self._places.clear()
        self._places[key] = self._nodes[name]
        return self._nodes[name]

    def _bury(self, node: Node, error: OSError) -> None:
        """Take a node out of the ring. Raises StoreUnavailable when none is left."""
        reason = f"{node.name} ({_reason(error)})"
        if node is self._only:
            raise _unavailable(reason) from error
        if node.name not in self._dead:
            log.warning("store_node_dead", node=node.name, reason=_reason(error))
            self._dead[node.name] = time.monotonic()
            self._ring.remove_node(node.name)
            self._places.clear()
        if len(self._dead) == len(self._nodes):
            raise _unavailable(f"{', '.join(self._nodes)}; the last one: {reason}") from error

    def _raise_the_dead(self) -> None:
        now = time.monotonic()
        for name in [name for name, since in self._dead.items() if now - since > self._dead_s]:
            log.info("store_node_tried_again", node=name)
            del self._dead[name]
            self._ring.add_node(name)
            self._places.clear()


def expire_of(ttl_s: float) -> int:
    """A duration as Memcached wants it: whole seconds, above 30 days as a Unix time; never 0, which means for ever."""
    seconds = max(1, math.ceil(ttl_s))
    return seconds if seconds <= MAX_RELATIVE_S else int(time.time()) + seconds


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _unavailable(which: str) -> StoreUnavailable:
    return StoreUnavailable(f"Memcached does not answer: {which}. Does it run, and does VITRINE_STORE_URL name it?")
