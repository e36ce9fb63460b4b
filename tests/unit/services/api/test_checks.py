import asyncio
import contextlib

from services.api.checks import check_broker, checked
from shared.settings import Settings

SECRET = "f3b1c7d09a5e48826bd41cfa70e95d3812aa6c4f7be09d15"


def _settings(port):
    return Settings(secret_key=SECRET, broker_url=f"amqp://user:hunter2@127.0.0.1:{port}/")


@contextlib.asynccontextmanager
async def _listening(answer):
    async def greet(reader, writer):
        await reader.read(8)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_broker_that_answers_is_ok():
    async with _listening(b"\x01\x00\x00") as port:
        check = await checked(lambda: check_broker(_settings(port)))
    assert check.ok


async def test_what_does_not_speak_amqp_is_named():
    async with _listening(b"HTTP/1.1 400") as port:
        check = await checked(lambda: check_broker(_settings(port)))
    assert (check.ok, "does not speak AMQP" in check.reason) == (False, True)


async def test_a_broker_that_is_down_is_named_without_its_password():
    check = await checked(lambda: check_broker(_settings(1)))
    assert not check.ok
    assert "127.0.0.1:1" in check.reason
    assert "hunter2" not in check.reason


async def test_a_check_that_falls_is_a_reason():
    async def broken():
        raise RuntimeError("x")

    check = await checked(broken)
    assert (check.ok, "RuntimeError" in check.reason) == (False, True)
