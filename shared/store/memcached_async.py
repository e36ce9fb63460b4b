"""Memcached for the gateway: asynchronous, because a thread hop would cost more than the get itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.errors import StoreUnavailable
from shared.store.nodes import CONNECT_TIMEOUT_S, DEAD_S, Nodes
from shared.store.wire import Connection, Reply

CONNECTIONS = 4  # to one node
PIPELINED = 16  # commands on one connection before the next one is used
TIMEOUT_S = 1.0  # without any sign of life; a person waits


def open_memcached_async(
    addresses: Sequence[tuple[str, int]], *, timeout_s: float = TIMEOUT_S, dead_s: float = DEAD_S
) -> Nodes:
    """Connects when first used, to the event loop that runs then."""
    return Nodes([AsyncNode(host, port, timeout_s=timeout_s) for host, port in addresses], dead_s=dead_s)


class AsyncNode:
    """A `nodes.Node`: one Memcached and the connections to it."""

    def __init__(self, host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self.name = f"{host}:{port}"
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._open: list[Connection] = []
        self._opening: asyncio.Task[Connection] | None = None
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        items = _items(await self._ask(f"get {key}\r\n".encode()), self.name)
        return items[0][1] if items else None

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        items = _items(await self._ask(f"get {' '.join(keys)}\r\n".encode()), self.name) if keys else []
        return {key.decode(): value for key, value, _ in items}

    async def gets(self, key: str) -> tuple[bytes, int] | None:
        items = _items(await self._ask(f"gets {key}\r\n".encode()), self.name)
        return items[0][1:] if items else None

    async def set(self, key: str, value: bytes, expire: int) -> None:
        await self._store("set", key, value, f"{expire} {len(value)}", {b"STORED": True})

    async def add(self, key: str, value: bytes, expire: int) -> bool:
        return await self._store("add", key, value, f"{expire} {len(value)}", {b"STORED": True, b"NOT_STORED": False})

    async def cas(self, key: str, value: bytes, unique: int, expire: int) -> bool:
        answers = {b"STORED": True, b"EXISTS": False, b"NOT_FOUND": False}
        return await self._store("cas", key, value, f"{expire} {len(value)} {unique}", answers)

    async def delete(self, key: str) -> None:
        reply = await self._ask(f"delete {key}\r\n".encode())
        if reply.line not in (b"DELETED", b"NOT_FOUND"):
            raise _refused(self.name, reply)

    async def version(self) -> str:
        reply = await self._ask(b"version\r\n")
        if not reply.line.startswith(b"VERSION "):
            raise _refused(self.name, reply)
        return reply.line.removeprefix(b"VERSION ").decode(errors="replace")

    async def close(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for connection in list(self._open):
            connection.abort()
        await asyncio.sleep(0)  # one turn of the loop, in which the transports close their sockets

    async def _store(self, verb: str, key: str, value: bytes, numbers: str, answers: dict[bytes, bool]) -> bool:
        reply = await self._ask(b"%b\r\n%b\r\n" % (f"{verb} {key} 0 {numbers}".encode(), value))
        try:
            return answers[reply.line]
        except KeyError:
            raise _refused(self.name, reply) from None

    async def _ask(self, command: bytes) -> Reply:
        """Raises OSError when the node does not answer."""
        try:
            return await (self._ready() or await self._opened()).send(command)
        except ConnectionError:
            # Most likely a connection that Memcached's restart left behind; a new one tells.
            return await (self._ready() or await self._opened()).send(command)

    def _ready(self) -> Connection | None:
        """The first one that is not full, else the least busy one (and another is opened for those who come next).

        What is asked at once goes through one connection, so that many commands are one packet, and so their answers.
        """
        if self._closed:
            raise StoreUnavailable("The store was closed.")
        for connection in self._open:
            if len(connection.waiting) < PIPELINED:
                return connection
        if not self._open:
            return None
        if len(self._open) < CONNECTIONS:
            self._open_another()
        return min(self._open, key=lambda connection: len(connection.waiting))

    async def _opened(self) -> Connection:
        return await asyncio.shield(self._open_another())  # shared: one caller's cancellation is not the others'

    def _open_another(self) -> asyncio.Task[Connection]:
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(_heed)
        return self._opening

    async def _connect(self) -> Connection:
        host, port = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._timeout_s, self._lost), host, port
                )
        except TimeoutError:
            raise TimeoutError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None
        else:
            self._open.append(connection)
            return connection
        finally:
            self._opening = None

    def _lost(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)


def _heed(task: asyncio.Task[Connection]) -> None:
    """Look at the exception of a connection that nobody waits for any more, or asyncio complains of it."""
    if not task.cancelled():
        task.exception()


def _items(reply: Reply, node: str) -> list[tuple[bytes, bytes, int]]:
    if reply.line != b"END":
        raise _refused(node, reply)
    return reply.items


def _refused(node: str, reply: Reply) -> StoreUnavailable:
    return StoreUnavailable(f"Memcached at {node} refused a command: {reply.line[:200].decode(errors='replace')}")
