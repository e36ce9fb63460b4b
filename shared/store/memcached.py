"""Memcached through pymemcache, for renderer, scheduler and command line.

Calls run in a small thread pool of our own, never in a worker thread that Dramatiq may interrupt: an interrupt inside
a call would leave a connection between two answers. Each of these threads has its own connection to each node, so
nothing is shared and nothing can be used up. `default_noreply` is off: with it, an oversize set is 'stored' and gone.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError, MemcacheUnexpectedCloseError

from shared.errors import StoreUnavailable
from shared.store.nodes import CONNECT_TIMEOUT_S, DEAD_S, Nodes

T = TypeVar("T")
THREADS = 4
TIMEOUT_S = 3.0  # a render has time; the gateway's client is less patient


def open_memcached(
    addresses: Sequence[tuple[str, int]], *, timeout_s: float = TIMEOUT_S, dead_s: float = DEAD_S
) -> Nodes:
    """Connects when first used."""
    return Nodes([ThreadedNode(host, port, timeout_s=timeout_s) for host, port in addresses], dead_s=dead_s)


class ThreadedNode:
    """A `nodes.Node`: one Memcached, its threads and their connections."""

    def __init__(self, host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self.name = f"{host}:{port}"
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=f"store-{self.name}")
        self._local = threading.local()
        self._clients: list[Any] = []

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._run(lambda client: client.get(key))
        return value

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = await self._run(lambda client: client.get_many(keys))
        return found

    async def gets(self, key: str) -> tuple[bytes, int] | None:
        value, unique = await self._run(lambda client: client.gets(key))
        return None if value is None else (value, int(unique))

    async def set(self, key: str, value: bytes, expire: int) -> None:
        if not await self._run(lambda client: client.set(key, value, expire=expire, noreply=False)):
            raise StoreUnavailable(f"Memcached at {self.name} did not keep {key} ({len(value)} bytes).")

    async def add(self, key: str, value: bytes, expire: int) -> bool:
        return bool(await self._run(lambda client: client.add(key, value, expire=expire, noreply=False)))

    async def cas(self, key: str, value: bytes, unique: int, expire: int) -> bool:
        # None: the item is gone; False: somebody else's write came first.
        token = b"%d" % unique
        return bool(await self._run(lambda client: client.cas(key, value, token, expire=expire, noreply=False)))

    async def delete(self, key: str) -> None:
        await self._run(lambda client: client.delete(key, noreply=False))

    async def version(self) -> str:
        answer: bytes = await self._run(lambda client: client.version())
        return answer.decode(errors="replace")

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown)
        for client in self._clients:
            client.close()
        self._clients.clear()

    async def _run(self, command: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt, command)

    def _attempt(self, command: Callable[[Any], T]) -> T:
        try:
            return self._once(command)
        except ConnectionError:
            # Most likely a connection that Memcached's restart left behind; a new one tells.
            return self._once(command)

    def _once(self, command: Callable[[Any], T]) -> T:
        """Raises OSError when the node does not answer; the next call opens another connection."""
        try:
            return command(self._client())
        except MemcacheUnexpectedCloseError as error:
            self._forget()
            raise ConnectionResetError("closed the connection") from error
        except MemcacheError as error:
            self._forget()
            raise StoreUnavailable(f"Memcached at {self.name} refused a command: {error}") from error
        except OSError:
            self._forget()
            raise

    def _client(self) -> Any:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
            self._clients.append(client)
        return client

    def _connect(self) -> Any:
        """A client of the first address that answers; pymemcache alone tries only the first one of a name."""
        host, port = self._address
        last_error = OSError(f"{host} has no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            client = Client(
                (str(address[0]), port),
                connect_timeout=CONNECT_TIMEOUT_S,
                timeout=self._timeout_s,
                no_delay=True,
                default_noreply=False,
            )
            try:
                client.version()
            except OSError as error:
                last_error = error
            else:
                return client
        raise last_error

    def _forget(self) -> None:
        client = getattr(self._local, "client", None)
        if client is not None:
            client.close()
            self._clients.remove(client)
            self._local.client = None
