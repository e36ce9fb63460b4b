"""The connection's parser and its clock, with a transport that only remembers."""

import asyncio

import pytest

from shared.store.wire import Connection
from tests.harness.polling import hold_true


class Transport(asyncio.Transport):
    """Remembers what was written; its end is told to the connection as the event loop would."""

    def __init__(self, timeout_s: float = 60) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.lost: list[Connection] = []
        self.connection = Connection(timeout_s, self.lost.append)
        self.connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.packets.append(bytes(data))

    def abort(self) -> None:
        asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)


ANSWERS = b"VALUE a 0 7\r\nx\r\nEND\r\r\nVALUE b 5 0 42\r\n\r\nEND\r\nEND\r\nSTORED\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, len(ANSWERS)])
async def test_answers_are_read_however_they_are_cut(step: int) -> None:
    connection = Transport().connection
    waiting = [connection.send(b"get") for _ in range(3)]
    for start in range(0, len(ANSWERS), step):
        connection.data_received(ANSWERS[start : start + step])
    values, miss, stored = await asyncio.gather(*waiting)
    assert values.items == [(b"a", b"x\r\nEND\r", 0), (b"b", b"", 42)]
    assert (values.line, miss.line, miss.items, stored.line) == (b"END", b"END", [], b"STORED")


async def test_commands_of_one_turn_of_the_loop_are_one_packet() -> None:
    transport = Transport()
    waiting = [transport.connection.send(command) for command in (b"1\r\n", b"2\r\n")]
    assert transport.packets == []
    await asyncio.sleep(0)
    assert transport.packets == [b"1\r\n2\r\n"]
    transport.connection.data_received(b"ONE\r\nTWO\r\n")
    assert [reply.line for reply in await asyncio.gather(*waiting)] == [b"ONE", b"TWO"]


async def test_a_cancelled_caller_keeps_its_place_in_the_queue() -> None:
    connection = Transport().connection
    first, second = connection.send(b"1"), connection.send(b"2")
    first.cancel()
    connection.data_received(b"ONE\r\nTWO\r\n")
    assert (await second).line == b"TWO"


async def test_a_lost_connection_fails_what_waits() -> None:
    transport = Transport()
    answer = transport.connection.send(b"1")
    transport.connection.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await answer
    assert transport.lost == [transport.connection]
    with pytest.raises(ConnectionResetError):
        transport.connection.send(b"2")


async def test_silence_while_answers_are_due_ends_the_connection() -> None:
    transport = Transport(timeout_s=0.05)
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        await transport.connection.send(b"1")
    assert not transport.connection.open


async def test_silence_while_nothing_is_due_does_not() -> None:
    transport = Transport(timeout_s=0.01)
    for _ in range(3):
        answer = transport.connection.send(b"1")
        transport.connection.data_received(b"OK\r\n")
        await answer
        await hold_true(lambda: transport.connection.open, 0.03, "nobody waits for an answer")


async def test_slow_progress_is_no_silence() -> None:
    connection = Transport(timeout_s=0.2).connection
    answer = connection.send(b"get a")
    connection.data_received(b"VALUE a 0 10\r\n")
    for _ in range(10):
        await asyncio.wait([answer], timeout=0.05)
        connection.data_received(b"x")
    connection.data_received(b"\r\nEND\r\n")
    assert (await answer).items == [(b"a", b"x" * 10, 0)]


@pytest.mark.parametrize("garbage", [b"VALUE a\r\n", b"VALUE a 0 many\r\n", b"ONE\r\nUNASKED\r\n"])
async def test_an_answer_that_is_not_memcached_s_ends_the_connection(garbage: bytes) -> None:
    transport = Transport()
    answer = transport.connection.send(b"1")
    transport.connection.data_received(garbage)
    await asyncio.wait([answer])
    await asyncio.sleep(0)
    assert not transport.connection.open
    assert answer.exception() is None or isinstance(answer.exception(), ConnectionError)
