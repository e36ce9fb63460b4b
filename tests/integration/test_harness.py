"""The harness itself: each server starts, answers, survives a kill -9 and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.harness import (
    Database,
    HarnessError,
    ManagedProcess,
    Memcached,
    PostgreSQL,
    RabbitMQ,
    Vhost,
    free_port,
    hold_true,
    release_port,
    wait_until,
    wait_until_async,
)
from tests.harness.ports import accepts
from tests.harness.server import Server, find_program

ROOT = Path(__file__).parents[2]
Spawn = Callable[..., ManagedProcess]


def declare_and_publish(vhost: Vhost, queue: str, body: bytes) -> None:
    with vhost.channel() as channel:
        channel.queue_declare(queue, durable=True)
    vhost.publish(queue, body)


# --- RabbitMQ ---------------------------------------------------------------------------------------------------------


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


# --- Memcached --------------------------------------------------------------------------------------------------------


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


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


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


# --- Chromium ---------------------------------------------------------------------------------------------------------


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


# --- processes --------------------------------------------------------------------------------------------------------

# A parent with a child of its own session, as a daemon or a browser is.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(300)
"""


def test_an_orphan_is_found_and_killed(spawn: Spawn) -> None:
    parent = spawn([sys.executable, "-c", FAMILY])
    child = int(parent.wait_for_log(r"child (\d+)").group(1))

    assert [process.pid for process in parent.descendants()] == [child]
    parent.kill9()

    assert parent.returncode == -signal.SIGKILL
    assert [process.pid for process in parent.survivors()] == [child]
    parent.kill_tree()
    assert parent.survivors() == []


def test_a_process_that_dies_early_is_reported_with_its_log(spawn: Spawn) -> None:
    process = spawn([sys.executable, "-c", "raise SystemExit('no such setting')"])

    with pytest.raises(HarnessError, match="no such setting"):
        process.wait_for_log("ready")


def test_a_process_is_waited_for_over_http(spawn: Spawn, tmp_path: Path) -> None:
    port = free_port()
    server = spawn([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], cwd=tmp_path)

    server.wait_for_port(port)
    server.wait_for_http(f"http://127.0.0.1:{port}/")
    server.wait_for_http(f"http://127.0.0.1:{port}/missing", status=404)
    assert server.terminate() == -signal.SIGTERM


def test_a_process_sees_no_setting_of_the_test_run(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SECRET", "outer")
    command = [
        sys.executable,
        "-c",
        "import os; print({k: v for k, v in os.environ.items() if k.startswith('VITRINE')})",
    ]

    process = spawn(command, env={"VITRINE_MODE": "given"})

    process.wait()
    assert process.log.strip() == "{'VITRINE_MODE': 'given'}"


def test_a_killed_test_run_leaves_nothing_running(tmp_path: Path) -> None:
    script = f"""
import sys, time
from tests.harness import ManagedProcess, Memcached
from pathlib import Path
memcached = Memcached().start()
family = ManagedProcess([sys.executable, "-c", {FAMILY!r}], folder=Path({str(tmp_path)!r}), name="family").start()
child = family.wait_for_log(r"child (\\d+)").group(1)
print(memcached.processes[0].pid, family.pid, child, memcached.folder, flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout
        *words, folder = run.stdout.readline().split()
        pids = [int(word) for word in words]
        assert len(pids) == 3
        assert all(map(psutil.pid_exists, pids))
        os.kill(run.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(_is_running, pids)), 10, lambda: f"the end of {pids}")
    wait_until(lambda: not Path(folder).exists(), 10, lambda: f"the removal of {folder}")


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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


# --- ports and polling ------------------------------------------------------------------------------------------------


def test_a_port_is_given_once_until_it_is_released() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    for port in ports:
        release_port(port)


def test_a_port_is_not_given_to_another_test_run() -> None:
    port = free_port()
    script = f"from tests.harness import ports; print(ports._lock({port}))"

    taken = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)

    assert taken.stdout.strip() == "None"
    release_port(port)


def test_waiting_returns_the_value_and_ignores_the_named_errors() -> None:
    outcomes = iter([ConnectionError("not yet"), 0, "ready"])

    def next_outcome() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert wait_until(next_outcome, 5, "an outcome", ignoring=(ConnectionError,)) == "ready"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.1 s: a miracle"):
        wait_until(lambda: False, 0.1, "a miracle")


async def test_waiting_asynchronously_takes_coroutines() -> None:
    async def answer() -> int:
        return 42

    assert await wait_until_async(answer, 1, "an answer") == 42
    with pytest.raises(AssertionError, match="a miracle"):
        await wait_until_async(lambda: None, 0.1, "a miracle")


async def test_what_must_not_happen_is_watched_for() -> None:
    await hold_true(lambda: True, 0.1, "peace")
    left = iter([True, False])
    with pytest.raises(AssertionError, match="peace"):
        await hold_true(lambda: next(left), 5, "peace")
