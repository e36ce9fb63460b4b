"""kill -9 in mid-render: the picture comes all the same, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil
import pytest

from tests.harness import Memcached, RabbitMQ, Vhost, wait_until
from tests.harness.process import command_of
from tests.harness.stack import Stack

RECOVERY_S = 60  # a renderer and its browser start anew, on a loaded machine
MakeStack = Callable[..., Stack]


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _wait_gone(processes: Iterable[psutil.Process], timeout_s: float = 40) -> None:
    """A warming process stands behind all others, also when it is to end."""

    def alive() -> list[psutil.Process]:
        return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def told() -> str:
        return f"the end of {[command_of(process) for process in alive()]}"

    wait_until(lambda: not alive(), timeout_s, told, ignoring=(psutil.NoSuchProcess,))


@pytest.mark.parametrize("victim", ["worker", "browser", "driver"])
def test_the_picture_comes_though_a_process_of_the_renderer_is_killed(
    make_stack: MakeStack, rabbitmq: Vhost, own_memcached: Memcached, victim: str
) -> None:
    stack = make_stack(rabbitmq, own_memcached).start("up")
    nora = stack.login("nora")
    with stack.proxy.hold("/data/") as held:
        nora.ask("total")
        held.wait()
        worker, killed = stack.worker(), getattr(stack, victim)()
        family = [*_family(killed), stack.browser()]  # the browser is the driver's child, or what was killed
        killed.kill()
        _wait_gone(family)
    nora.picture("total", RECOVERY_S)
    assert victim == "worker" or stack.worker() == worker, "the worker process lives on"
    wait_until(lambda: [status for status, *_ in stack.renders("total", "nora")] == ["Updated"], 10, "one record")


def test_the_picture_comes_though_the_broker_is_killed(
    make_stack: MakeStack, own_rabbitmq: RabbitMQ, own_memcached: Memcached
) -> None:
    stack = make_stack(own_rabbitmq, own_memcached).start()
    nora = stack.login("nora")
    with stack.proxy.hold("/data/") as held:
        nora.ask("total")
        held.wait()
        own_rabbitmq.kill9()
    first = nora.picture("total")
    own_rabbitmq.start()
    nora.refresh("regions")
    nora.picture("regions", RECOVERY_S)
    assert nora.ask("total").headers["ETag"] == first.headers["ETag"], "the redelivered message changes nothing"
    wait_until(lambda: len(stack.renders("total", "nora")) == 1, 10, "one record")


def test_the_picture_comes_though_memcached_is_killed(
    make_stack: MakeStack, rabbitmq: Vhost, own_memcached: Memcached
) -> None:
    stack = make_stack(rabbitmq, own_memcached).start()
    nora = stack.login("nora")
    with stack.proxy.hold("/data/") as held:
        nora.ask("total")
        held.wait()
        own_memcached.kill9()
        down = nora.ask("total")
        assert (down.status_code, down.json()["code"]) == (503, "store_unavailable")
        assert int(down.headers["Retry-After"]) >= 1
    own_memcached.start()
    nora.picture("total", RECOVERY_S)


def test_a_killed_master_takes_its_worker_along_and_another_renderer_goes_on(
    make_stack: MakeStack, rabbitmq: Vhost, own_memcached: Memcached
) -> None:
    stack = make_stack(rabbitmq, own_memcached).start()
    nora = stack.login("nora")
    with stack.proxy.hold("/data/") as held:
        for slug in ("total", "regions", "by-product"):  # one more than the worker's threads
            nora.ask(slug)
        held.wait(hits=2)
        family = stack.renderer.descendants()
        stack.renderer.kill9()
    stack.start("renderer")
    for slug in ("total", "regions", "by-product"):
        nora.picture(slug, RECOVERY_S)
    _wait_gone(family, 45)


def test_killed_up_takes_all_its_services_along(
    make_stack: MakeStack, rabbitmq: Vhost, own_memcached: Memcached
) -> None:
    stack = make_stack(rabbitmq, own_memcached).start("up")
    up = stack.processes["up"]
    up.kill9()
    wait_until(lambda: not up.survivors(), 45, lambda: f"the end of {up.survivors()}")


def test_a_service_that_dies_is_started_again_by_up(
    make_stack: MakeStack, rabbitmq: Vhost, own_memcached: Memcached
) -> None:
    stack = make_stack(rabbitmq, own_memcached).start("up")
    up = stack.processes["up"]
    gunicorn = next(p for p in up.descendants() if "gunicorn" in command_of(p) and p.ppid() == up.pid)
    orphans = gunicorn.children(recursive=True)
    gunicorn.kill()
    up.wait_for_log("starting it again", 20)
    _wait_gone(orphans, 45)  # they notice, and finish what they have at hand
    up.wait_for_http(f"{stack.url}/readyz", RECOVERY_S)
    stack.login("nora").picture("total", RECOVERY_S)
