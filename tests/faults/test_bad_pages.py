"""Pages that misbehave: an Error in time, a worker that lives, and a next render that is fine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psutil
import pytest

from tests.harness import Memcached, RabbitMQ, wait_until
from tests.harness.person import Person
from tests.harness.stack import Stack

DEADLINE_S = 8  # long enough for a good page on a loaded machine
SPIN = "<script>while (true) {}</script>"


@pytest.fixture(scope="module")
def stack(rabbitmq_server: RabbitMQ) -> Iterator[Stack]:
    vhost = rabbitmq_server.create_vhost()
    with (
        Memcached() as memcached,
        Stack(broker_url=vhost.url, store_url=memcached.url, render_deadline_s=DEADLINE_S) as stack,
    ):
        yield stack.start()
    rabbitmq_server.delete_vhost(vhost)


@pytest.fixture
def worker(stack: Stack) -> Iterator[psutil.Process]:
    """Must be the same after the test: no page ends it."""
    worker = stack.worker()
    stack.login("hugo").picture("plain")
    yield worker
    assert stack.worker() == worker
    before = stack.login("hugo").picture("plain")
    stack.login("hugo").refresh("plain")
    stack.login("hugo").newer("plain", before)


def _seconds_late(person: Person, slug: str, asked: dict[str, Any]) -> float:
    """How long after the deadline its Error came."""
    document = person.until_status(slug, "Error", DEADLINE_S + 30)
    ended, deadline = (datetime.fromisoformat(text) for text in (document["task_updated_at"], asked["deadline"]))
    return (ended - deadline).total_seconds()


def test_a_page_that_never_gets_ready_is_an_error_by_its_deadline(stack: Stack, worker: psutil.Process) -> None:
    nora = stack.login("nora")
    with stack.proxy.hold("/data/") as held:
        asked = nora.ask("total").json()
        held.wait()
        assert _seconds_late(nora, "total", asked) < 2
    document = nora.status("total")
    assert document["code"] in ("not_ready", "deadline_exceeded")
    assert "never finished drawing" in document["reason"]
    nora.refresh("total")
    nora.picture("total")


def test_a_page_that_spins_in_its_script_is_an_error_by_its_deadline_and_its_process_ends(
    stack: Stack, worker: psutil.Process
) -> None:
    nina = stack.login("nina")
    with stack.proxy.inject("/chart/", SPIN) as injected:
        asked = nina.ask("total").json()
        injected.wait()
        assert _seconds_late(nina, "total", asked) < 2
    assert nina.status("total")["code"] in ("not_ready", "deadline_exceeded")
    wait_until(lambda: not _spinning(stack), 10, lambda: f"the end of {_spinning(stack)}")
    nina.refresh("total")
    nina.picture("total")


def _spinning(stack: Stack) -> list[psutil.Process]:
    pages = stack.pages()
    for page in pages:
        page.cpu_percent()
    busy = []
    for page in pages:
        try:
            if page.cpu_percent(interval=0.5) > 20:
                busy.append(page)
        except psutil.Error:  # ended meanwhile
            continue
    return busy


def test_a_page_whose_server_fails_for_a_moment_is_tried_again(stack: Stack, worker: psutil.Process) -> None:
    sven = stack.login("sven")
    with stack.proxy.answer("/chart/", 500) as failing:
        sven.ask("total")
        failing.wait(hits=2)
    sven.picture("total")


def test_a_page_whose_server_goes_on_failing_is_an_error_with_its_reason(stack: Stack, worker: psutil.Process) -> None:
    sven = stack.login("sven")
    with stack.proxy.answer("/chart/", 500):
        sven.ask("regions")
        document = sven.until_status("regions", "Error", DEADLINE_S + 30)
    # Whichever comes first: the last try, or the deadline.
    assert document["code"] in ("navigation_failed", "deadline_exceeded")
    assert document["reason"]


def test_a_page_that_turns_into_a_log_in_page_is_an_error_and_no_picture(stack: Stack, worker: psutil.Process) -> None:
    hugo = stack.login("hugo")
    with stack.proxy.answer("/chart/", 401):
        hugo.ask("regions")
        assert hugo.until_status("regions", "Error")["code"] == "login_page"
    assert hugo.ask("regions").status_code == 202


def test_data_that_come_late_but_in_time_are_in_the_picture(stack: Stack, worker: psutil.Process) -> None:
    hugo = stack.login("hugo")
    with stack.proxy.hold("/data/") as held:
        hugo.ask("watched")
        held.wait(hits=1)
        assert hugo.status("watched")["task_status"] == "Computing"
    assert len(hugo.picture("watched").content) > 2_000


@pytest.mark.parametrize(
    "fragment",
    [
        "/js/boot.js",
        "/js/holder.js",
        "/vendor/vega-6",
        "/data/",
        "/css/base.css",
        "/vendor/inter-latin-5",
        "/static/",
    ],
)
def test_a_file_that_is_not_served_for_a_moment_is_waited_for_and_the_picture_is_right(
    stack: Stack, fragment: str
) -> None:
    ada = stack.login("ada")
    good = ada.picture("by-product")
    stack.renderer.kill_tree()
    stack.start("renderer")  # a browser with nothing in its cache
    with stack.proxy.answer(fragment, 500) as failing:
        ada.refresh("by-product")
        failing.wait()
    assert ada.newer("by-product", good, 20).content == good.content


def test_data_that_break_off_in_their_middle_are_asked_for_again_and_the_picture_is_right(stack: Stack) -> None:
    ada = stack.login("ada")
    good = ada.picture("by-product")
    with stack.proxy.cut("/data/") as failing:
        ada.refresh("by-product")
        failing.wait()
    assert ada.newer("by-product", good, 20).content == good.content
