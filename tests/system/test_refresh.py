"""The scheduler keeps pictures fresh that nobody asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.harness import wait_until
from tests.harness.person import rendered_at
from tests.harness.process import command_of
from tests.harness.stack import Stack


def test_a_picture_whose_digest_changed_is_refreshed_without_anybody_asking(stack: Stack) -> None:
    hugo = stack.login("hugo")
    old = hugo.picture("watched")
    stack.start("scheduler")
    stack.load("Watched heading", "Changed heading")
    wait_until(lambda: hugo.status("watched")["stale"] is False, 60, "a refreshed picture")
    stack.processes["scheduler"].terminate(30)
    assert rendered_at(hugo.ask("watched")) > rendered_at(old)
    assert [origin for _, origin, *_ in stack.until_renders("watched", "hugo", 2)] == ["viewer", "refresh"]


def test_what_nobody_waits_for_is_drawn_by_a_browser_of_its_own_behind_the_viewers(stack: Stack) -> None:
    def priorities() -> set[int]:
        """Of the pages' processes: both browsers have some once they drew."""
        below = psutil.Process(stack.renderer.pid).children(recursive=True)
        found = set()
        for process in below:
            with suppress(psutil.NoSuchProcess):
                found |= {process.nice()} if "--type=renderer" in command_of(process) else set()
        return found

    def told() -> tuple[int, int]:
        ((details,),) = stack.rows("SELECT details FROM heartbeats WHERE service = 'renderer'")
        heard = json.loads(details)
        return heard["browser"]["renders"], heard["bulk_browser"]["renders"]

    hugo = stack.login("hugo")
    old = hugo.picture("plain")
    wait_until(lambda: told()[0], 30, "a render for a viewer")
    plain = stack.ids["plain"].split("/")[1]
    assert stack.vitrine("thumbnails", "compute", "-a", "-f", "-d", "-i", plain, "-u", "hugo").returncode == 0
    wait_until(lambda: rendered_at(hugo.ask("plain")) > rendered_at(old), 60, "another picture")
    wait_until(lambda: told()[1], 30, "a render in bulk")
    wait_until(lambda: len(priorities()) == 2, 20, lambda: f"two priorities, not {priorities()}")


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
    assert [origin for _, origin, *_ in stack.until_renders("watched", "nora", 2)] == ["viewer", "refresh"]
