"""Thumbnails over HTTP, from the first request to a picture, and how they are kept true."""

from __future__ import annotations

import asyncio

import httpx

from tests.harness import Vhost, wait_until
from tests.harness.person import Person, image_of, rendered_at
from tests.harness.stack import QUEUE, Stack

KEYS = {
    "cache_key",
    "image_url",
    "task_status",
    "task_updated_at",
    "task_timeout_seconds",
    "reason",
    "code",
    "deadline",
}


def test_the_first_get_is_202_with_the_documented_keys_and_then_a_png_of_the_right_size(stack: Stack) -> None:
    hugo = stack.login("hugo")
    first = hugo.ask("shop")
    assert first.status_code == 202
    assert first.json().keys() == KEYS | {"dashboard_url"}
    assert first.json()["task_status"] in ("Pending", "Computing")
    assert int(first.headers["Retry-After"]) >= 1
    answer = hugo.picture("shop")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["ETag"].strip('"')
    assert answer.headers["Cache-Control"].startswith("private")
    assert image_of(answer).size == (800, 600)
    assert hugo.status("shop")["task_status"] == "Updated"


def test_a_picture_that_the_client_has_already_is_304_without_a_body(stack: Stack) -> None:
    hugo = stack.login("hugo")
    etag = hugo.picture("total").headers["ETag"]
    again = hugo.ask("total", **{"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert hugo.ask("total", **{"If-None-Match": '"another"'}).status_code == 200


def test_an_outdated_digest_leads_to_the_current_one(stack: Stack) -> None:
    hugo = stack.login("hugo")
    answer = hugo.get(hugo.api("shop", "thumbnail/0123abcd/"), follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, hugo.thumbnail_url("shop"))


def test_a_forced_refresh_makes_a_newer_picture_and_the_old_one_is_served_meanwhile(stack: Stack) -> None:
    nora = stack.login("nora")
    old = nora.picture("total")
    with stack.proxy.hold("/data/") as held:
        answer = nora.refresh("total")
        assert (answer.status_code, answer.json()["task_status"]) == (202, "Pending")
        held.wait()
        assert nora.status("total")["task_status"] == "Computing"
        meanwhile = nora.ask("total")
        assert (meanwhile.status_code, meanwhile.headers["ETag"]) == (200, old.headers["ETag"])
        assert rendered_at(meanwhile) == rendered_at(old)
    assert nora.newer("total", old).headers["Content-Type"] == "image/png"
    assert nora.refresh("total", force=False).status_code == 200


def test_a_hundred_parallel_gets_of_a_missing_thumbnail_are_one_message_and_one_render(
    stack: Stack, vhost: Vhost
) -> None:
    sven = stack.login("sven")
    stack.stop("renderer")
    try:
        answers = asyncio.run(_at_once(stack, sven, sven.thumbnail_url("plain"), 100))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["cache_key"] for answer in answers}) == 1
        assert vhost.message_count(QUEUE) == 1
    finally:
        stack.start("renderer")
    sven.picture("plain")
    wait_until(lambda: len(stack.renders("plain", "sven")) == 1, 10, lambda: f"{stack.renders('plain', 'sven')}")
    assert vhost.message_count(QUEUE) == 0


async def _at_once(stack: Stack, person: Person, path: str, count: int) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=count)
    headers = {"Authorization": f"Bearer {person.token}"}
    async with httpx.AsyncClient(base_url=stack.url, limits=limits, headers=headers, timeout=60) as client:
        return await asyncio.gather(*(client.get(path) for _ in range(count)))


def test_a_chart_that_was_edited_is_served_stale_and_then_drawn_anew(stack: Stack) -> None:
    hugo = stack.login("hugo")
    old, digest = hugo.picture("edited"), hugo.thumbnail_url("edited")
    stack.load("First heading", "Second heading")
    with stack.proxy.hold("/data/"):
        stale = hugo.ask("edited")
        assert (stale.status_code, stale.headers["ETag"]) == (200, old.headers["ETag"])
        assert (stale.headers["X-Vitrine-Stale"], stale.headers["X-Cache"]) == ("1", "STALE")
    assert hugo.thumbnail_url("edited") != digest
    fresh = hugo.picture("edited", fresh=True)
    assert image_of(fresh).tobytes() != image_of(old).tobytes()
