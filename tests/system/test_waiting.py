"""Renders that wait: seen by an operator, cancelled, and never begun."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness import Memcached, Vhost, wait_until
from tests.harness.person import Person
from tests.harness.stack import QUEUE, Stack

RENDERS = "/api/v1/ops/renders"


def _found(ada: Person, state: str) -> list[str]:
    """The ids of renders in this state."""
    return [one["id"] for one in ada.get(f"{RENDERS}?state={state}").json()["result"]]


def test_a_render_that_is_cancelled_while_it_waits_is_never_begun(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached
) -> None:
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url).start("renderer")  # it declares the queues
    stack.stop("renderer")
    stack.start("gateway")
    nora, ada = stack.login("nora"), stack.login("ada")
    assert nora.ask("total").status_code == 202
    assert nora.ask("plain").status_code == 202
    unwanted = _found(ada, "waiting")[0]  # the newest
    assert ada.post(f"{RENDERS}/{unwanted}/cancel", {}).json()["ended"] is True
    assert nora.status("plain")["code"] == "cancelled"
    why = stack.vitrine("why", stack.ids["total"], "--user", "nora").stdout
    assert "waits in its queue; 0 before it" in why
    stack.start("renderer")
    nora.picture("total")
    wait_until(lambda: rabbitmq.message_count(QUEUE) == 0, 30, "an empty queue")
    wait_until(lambda: _found(ada, "waiting") == _found(ada, "rendering") == [], 30, "nothing open")
    assert [status for status, *_ in stack.renders("plain", "nora")] == ["Error"]
    assert nora.status("plain")["code"] == "cancelled"
    wait_until(lambda: stack.rows("SELECT COUNT(*) FROM open_renders") == [(0,)], 10, "no row")
    assert rabbitmq.message_count(f"{QUEUE}.XQ") == 0, "an operator's own act alerts nobody"


def test_what_a_killed_renderer_had_in_hand_is_rendered_by_the_next_one_and_nothing_is_left(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached
) -> None:
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url).start()
    nora, ada = stack.login("nora"), stack.login("ada")
    with stack.proxy.hold("/data/") as held:
        assert nora.ask("total").status_code == 202
        held.wait()
        wait_until(lambda: len(_found(ada, "rendering")) == 1, 10, "a render in hand")
        assert _found(ada, "waiting") == []
        stack.renderer.kill_tree()
        wait_until(lambda: len(_found(ada, "waiting")) == 1, 40, "that it waits again")
    stack.start("renderer")
    nora.picture("total")
    wait_until(lambda: stack.rows("SELECT COUNT(*) FROM open_renders") == [(0,)], 10, "no row")


def test_the_embedded_tree_tells_what_waits_and_forgets_it_with_its_queue(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(render_threads=1).start("up")
    nora, ada = stack.login("nora"), stack.login("ada")
    with stack.proxy.hold("/data/") as held:
        for slug in ("total", "plain", "shop"):
            assert nora.ask(slug).status_code == 202
        held.wait()
        wait_until(lambda: len(_found(ada, "rendering")) > 0, 10, "a render in hand")
        waiting = _found(ada, "waiting")
        assert len(waiting) > 0
        assert ada.post(f"{RENDERS}/{waiting[0]}/cancel", {}).json()["ended"] is True
        assert _found(ada, "waiting") == waiting[1:]
        stack.processes["up"].kill_tree()
    stack.start("up")
    assert ada.get(RENDERS + "?state=waiting").json()["count"] == 0
    assert stack.rows("SELECT COUNT(*) FROM open_renders") == [(0,)]
