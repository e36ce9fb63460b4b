"""Each server of the harness starts, answers, survives a kill -9 and leaves nothing behind."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.harness import Database, HarnessError, ManagedProcess, Memcached, PostgreSQL, RabbitMQ, Vhost, wait_until
from tests.harness.ports import accepts
from tests.harness.server import Server, find_program

Spawn = Callable[..., ManagedProcess]


def declare_and_publish(vhost: Vhost, queue: str, body: bytes) -> None:
    with vhost.channel() as channel:
        channel.queue_declare(queue, durable=True)
    vhost.publish(queue, body)


def is_written_down(server: RabbitMQ, queue: str) -> bool:
    """Whether the definition of a queue is on disk: RabbitMQ confirms it sooner, unlike messages."""
    files = (path for path in (server.folder / "data").rglob("*") if path.suffix in (".LOG", ".DCL", ".DCD"))
    with contextlib.suppress(FileNotFoundError):  # one became another meanwhile
        return any(queue.encode() in path.read_bytes() for path in files)
    return False


def test_rabbitmq_gives_back_what_was_published(rabbitmq: Vhost) -> None:
    declare_and_publish(rabbitmq, "orders", b"one")

    assert rabbitmq.queue_names() == ["orders"]
    assert (rabbitmq.message_count("orders"), rabbitmq.consumer_count("orders")) == (1, 0)
    assert rabbitmq.get("orders") == b"one"
    assert rabbitmq.message_count("orders") == 0


@pytest.mark.parametrize("turn", [1, 2])
def test_rabbitmq_is_empty_for_each_test(rabbitmq: Vhost, turn: int) -> None:
    assert rabbitmq.queue_names() == []
    declare_and_publish(rabbitmq, "leftover", b"x")


def test_rabbitmq_keeps_durable_messages_over_a_kill9(own_rabbitmq: RabbitMQ) -> None:
    vhost, port = own_rabbitmq.default, own_rabbitmq.port
    declare_and_publish(vhost, "orders", b"one")
    wait_until(lambda: is_written_down(own_rabbitmq, "orders"), 10, "the queue's definition on disk")

    own_rabbitmq.kill9()
    assert own_rabbitmq.survivors == []
    assert not accepts(port)
    own_rabbitmq.start()

    assert own_rabbitmq.port == port
    assert vhost.get("orders") == b"one"
    own_rabbitmq.stop()
    assert own_rabbitmq.survivors == []


def test_a_paused_rabbitmq_is_silent_until_it_is_resumed(own_rabbitmq: RabbitMQ) -> None:
    own_rabbitmq.pause()
    beam = psutil.Process(own_rabbitmq.processes[-1].pid)
    assert beam.status() == psutil.STATUS_STOPPED
    own_rabbitmq.resume()

    assert own_rabbitmq.is_ready()


def test_memcached_answers_and_counts(memcached: Memcached) -> None:
    hits = int(memcached.stats()["get_hits"])
    assert memcached.command("set key 0 0 5\r\nvalue") == "STORED"
    assert memcached.command("get key", end="END\r\n") == "VALUE key 0 5\r\nvalue\r\nEND"
    assert int(memcached.stats()["get_hits"]) == hits + 1


@pytest.mark.parametrize("turn", [1, 2])
def test_memcached_is_empty_for_each_test(memcached: Memcached, turn: int) -> None:
    assert memcached.command("get leftover", end="END\r\n") == "END"
    assert memcached.command("set leftover 0 0 1\r\nx") == "STORED"


def test_memcached_takes_its_sizes() -> None:
    with Memcached(memory_mb=16, item_size="2m") as memcached:
        assert memcached.command(f"set big 0 0 1500000\r\n{'x' * 1_500_000}") == "STORED"
        assert memcached.stats()["limit_maxbytes"] == str(16 << 20)


def test_memcached_comes_back_empty_after_a_kill9(own_memcached: Memcached) -> None:
    port = own_memcached.port
    own_memcached.command("set key 0 0 1\r\nx")

    own_memcached.kill9()
    assert own_memcached.survivors == []
    assert not accepts(port)
    own_memcached.start()

    assert own_memcached.port == port
    assert own_memcached.command("get key", end="END\r\n") == "END"
    own_memcached.restart()
    assert own_memcached.is_ready()


@pytest.mark.parametrize("turn", [1, 2])
def test_postgresql_gives_each_test_a_new_database(postgresql: Database, turn: int) -> None:
    with psycopg.connect(postgresql.url) as connection:
        connection.execute("CREATE TABLE leftover (id int)")
        assert connection.execute("SELECT current_database()").fetchone() == (postgresql.name,)


def test_postgresql_keeps_committed_rows_over_a_kill9(own_postgresql: PostgreSQL) -> None:
    database = own_postgresql.create_database()
    with psycopg.connect(database.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")

    own_postgresql.kill9()
    assert own_postgresql.survivors == []
    own_postgresql.start()

    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)
    own_postgresql.stop()
    assert own_postgresql.survivors == []


def test_chromium_draws_a_page(chromium_path: Path, spawn: Spawn, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={picture}",
    ]

    chromium = spawn([chromium_path, *options, "data:text/html,<h1>Vitrine</h1>"])

    assert chromium.wait(60) == 0, chromium.log
    assert picture.read_bytes().startswith(b"\x89PNG")
    wait_until(lambda: chromium.survivors() == [], 10, lambda: f"the end of {chromium.survivors()}")


def test_a_server_that_does_not_start_says_why() -> None:
    class BadMemcached(Memcached):
        def __init__(self) -> None:
            super().__init__(item_size="nonsense")

    with pytest.raises(HarnessError, match=r"(?s)memcached did not start.*Item max size"), BadMemcached():
        pass


def test_a_missing_server_is_named_with_its_remedy() -> None:
    with pytest.raises(
        HarnessError, match="no frobnicator on this machine: run `make system` as root, or `apt-get install frob`"
    ):
        find_program("frobnicator", package="frob")


def test_servers_share_one_shape() -> None:
    for server in (RabbitMQ, Memcached, PostgreSQL):
        assert issubclass(server, Server)
        assert isinstance(server.url, property)
