"""The scheduler keeps pictures fresh that nobody asks for."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness import wait_until
from tests.harness.person import rendered_at
from tests.harness.stack import Stack


def test_a_picture_whose_digest_changed_is_refreshed_without_anybody_asking(stack: Stack) -> None:
    hugo = stack.login("hugo")
    old = hugo.picture("watched")
    stack.start("scheduler")
    stack.load("Watched heading", "Changed heading")
    wait_until(lambda: hugo.status("watched")["stale"] is False, 60, "a refreshed picture")
    stack.processes["scheduler"].terminate(30)
    assert rendered_at(hugo.ask("watched")) > rendered_at(old)
    assert [origin for _, origin, *_ in stack.renders("watched", "hugo")] == ["viewer", "refresh"]


def test_everything_works_with_the_metadata_in_postgresql(
    make_stack: Callable[..., Stack], rabbitmq: object, memcached: object, postgresql: object
) -> None:
    urls = {"broker_url": rabbitmq.url, "store_url": memcached.url, "metadata_url": postgresql.url}  # type: ignore[attr-defined]
    stack = make_stack(**urls).start("gateway", "renderer", "scheduler")
    nora = stack.login("nora")
    old = nora.picture("watched")
    stack.load("Watched heading", "Changed heading")
    wait_until(lambda: nora.status("watched")["stale"] is False, 60, "a refreshed picture")
    assert rendered_at(nora.ask("watched")) > rendered_at(old)
    assert [origin for _, origin, *_ in stack.renders("watched", "nora")] == ["viewer", "refresh"]
