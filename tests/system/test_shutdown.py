"""SIGTERM: what is at hand is finished, and nothing is left."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil

from tests.harness import Memcached, Vhost, wait_until
from tests.harness.stack import Stack


def test_sigterm_to_the_renderer_s_master_in_mid_render_stores_the_picture_and_leaves_no_process(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached
) -> None:
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url).start()
    nora, renderer = stack.login("nora"), stack.renderer
    with stack.proxy.hold("/data/") as held:
        nora.ask("total")
        held.wait()
        renderer.send(signal.SIGTERM)
        renderer.wait_for_log("Stopping worker process|Sending signal|Shutting down", 20)
        assert renderer.running
    assert renderer.wait(45) == 0
    wait_until(lambda: not renderer.survivors(), 5, lambda: f"the end of {renderer.survivors()}")
    assert nora.ask("total").status_code == 200


def test_sigterm_ends_up_and_all_that_it_started(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached
) -> None:
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url).start("up")
    stack.login("nora").picture("total")
    up = stack.processes["up"]
    assert up.terminate(45) == 0
    wait_until(lambda: not up.survivors(), 5, lambda: f"the end of {up.survivors()}")
    assert "Traceback" not in up.log


def test_sigterm_to_the_embedded_worker_does_not_wait_for_connections_on_which_nobody_asks(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack().start("up")
    nora = stack.login("nora")  # keeps its connection open
    nora.picture("total")  # and so does the browser
    (worker,) = psutil.Process(stack.processes["up"].pid).children()
    address = urlsplit(stack.url)
    with socket.create_connection((address.hostname, address.port)):  # as browsers and proxies open them in advance
        worker.send_signal(signal.SIGTERM)
        worker.wait(14)  # gunicorn's own would wait 15 s for the first two, 30 s for the last
    wait_until(lambda: psutil.Process(stack.processes["up"].pid).children(), 10, "another worker")
    assert stack.login("nora").ask("total").status_code == 200
