"""One asynchronous connection to a Memcached: commands are pipelined, answers come back in their order.

A caller that is cancelled leaves its place in the queue, so its answer is read and dropped: the connection never gets
out of step (aiomcache 0.8 hands a connection on with the old answer still in it). When nothing arrives for the
timeout while answers are due, the connection is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast


@dataclass(slots=True)
class Reply:
    """The last line of an answer, and the items before it: (key, value, cas number or 0)."""

    line: bytes = b""
    items: list[tuple[bytes, bytes, int]] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Made by `loop.create_connection`. Nothing here blocks."""

    def __init__(self, timeout_s: float, on_lost: Callable[[Connection], None]) -> None:
        self.waiting: deque[asyncio.Future[Reply]] = deque()
        self.open = False
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._commands: list[bytes] = []  # given in this turn of the event loop, not yet sent
        self._buffer = bytearray()
        self._reply = Reply()
        self._body: tuple[bytes, int, int] | None = None  # key, size and cas number of the item being received
        self._heard = 0.0  # loop time of the last sign of life, while answers are due
        self._watch: asyncio.TimerHandle | None = None
        self._reason: OSError | None = None

    def send(self, command: bytes) -> asyncio.Future[Reply]:
        """The answer; it fails with ConnectionError, or TimeoutError, when the connection ends before it came."""
        if self._transport is None or not self.open:
            raise ConnectionResetError("the connection is closed")
        if not self.waiting:
            self._heard = self._loop.time()
            if self._watch is None:
                self._watch = self._loop.call_later(self._timeout_s, self._look)
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self.waiting.append(answer)
        if not self._commands:
            self._loop.call_soon(self._flush)
        self._commands.append(command)
        return answer

    def abort(self, reason: OSError | None = None) -> None:
        """Close at once; what is waiting fails with `reason`."""
        self._reason = self._reason or reason
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives no other
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        self._buffer += data
        try:
            self._read()
        except (ValueError, IndexError):
            self.abort(ConnectionAbortedError("the answer is not Memcached's"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._watch is not None:
            self._watch.cancel()
        reason = self._reason or ConnectionResetError(f"the connection was lost: {exc or 'closed by Memcached'}")
        for answer in self.waiting:
            if not answer.done():
                answer.set_exception(type(reason)(*reason.args))
        self.waiting.clear()
        self._on_lost(self)

    def _flush(self) -> None:
        """One packet for all commands of a turn: a system call costs more than anything else here."""
        commands, self._commands = self._commands, []
        if self._transport is not None and self.open:  # else what waits has failed already
            self._transport.write(b"".join(commands))

    def _look(self) -> None:
        self._watch = None
        if not self.waiting:
            return
        left_s = self._heard + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._look)
        else:
            self.abort(TimeoutError(f"no answer within {self._timeout_s:g} s"))

    def _read(self) -> None:
        """Take every whole line and body off the buffer."""
        buffer, start = self._buffer, 0
        while True:
            if self._body is not None:
                key, size, unique = self._body
                if len(buffer) < start + size + 2:
                    break
                with memoryview(buffer) as view:
                    value = bytes(view[start : start + size])
                self._reply.items.append((key, value, unique))
                self._body = None
                start += size + 2
            end = buffer.find(b"\r\n", start)
            if end < 0:
                break
            line = bytes(buffer[start:end])
            start = end + 2
            if line.startswith(b"VALUE "):
                _, key, _, size_text, *unique_text = line.split(b" ")
                self._body = (key, int(size_text), int(unique_text[0]) if unique_text else 0)
            else:
                self._answer(line)
        del buffer[:start]

    def _answer(self, line: bytes) -> None:
        reply, self._reply = self._reply, Reply()
        reply.line = line
        answer = self.waiting.popleft()  # IndexError: nothing was asked
        if not answer.done():
            answer.set_result(reply)
