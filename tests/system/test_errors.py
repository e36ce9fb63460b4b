"""Failures that are nobody's crash: they are told, bounded, and leave the worker alive."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.harness import Vhost, wait_until
from tests.harness.stack import QUEUE, Stack

DEAD = f"{QUEUE}.XQ"


def test_a_chart_that_fails_is_an_error_with_its_reason_and_a_time_to_try_again(stack: Stack) -> None:
    hugo = stack.login("hugo")
    hugo.ask("broken")
    document = hugo.until_status("broken", "Error")
    assert document["code"] == "chart_failed"
    assert "overflow" in document["reason"]
    assert stack.until_renders("broken", "hugo", 1)[0][0] == "Error"


def test_a_dashboard_of_which_one_chart_fails_is_still_a_picture(stack: Stack) -> None:
    stack.login("hugo").picture("mixed")


def test_a_picture_that_shows_a_failed_chart_is_soon_made_again(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(failed_fresh_s=2).start("up")
    hugo = stack.login("hugo")
    hugo.picture("plain")
    hugo.picture("mixed")
    wait_until(lambda: len(stack.renders("mixed", "hugo")) > 1, 30, lambda: str(hugo.ask("mixed").headers))
    assert hugo.ask("plain").headers["X-Cache"] == "HIT"


def test_an_empty_dashboard_is_a_picture(stack: Stack) -> None:
    stack.login("hugo").picture("empty")


ENVELOPE = {
    "queue_name": QUEUE,
    "actor_name": "cache_chart_thumbnail",
    "args": [],
    "kwargs": {},
    "options": {},
    "message_id": "m-1",
    "message_timestamp": 1,
}


@pytest.mark.parametrize(
    "body",
    [
        b"\x00garbage",
        b"[]",
        json.dumps(ENVELOPE).encode(),
        json.dumps(ENVELOPE | {"queue_name": "another"}).encode(),
        json.dumps(ENVELOPE | {"options": {"throws": "ValueError"}}).encode(),
        json.dumps(ENVELOPE | {"options": {"eta": "soon"}}).encode(),
        json.dumps(ENVELOPE | {"kwargs": []}).encode(),
    ],
    ids=["bytes", "no object", "no request", "another queue", "throws", "no time", "no kwargs"],
)
def test_what_is_no_render_request_is_dead_lettered_and_the_worker_lives(
    stack: Stack, vhost: Vhost, body: bytes
) -> None:
    before = vhost.message_count(DEAD)
    for _ in range(3):  # more than the worker has threads
        vhost.publish(QUEUE, body)
    wait_until(lambda: vhost.message_count(DEAD) == before + 3, 30, "three dead letters")
    nina = stack.login("nina")
    old = nina.picture("total")
    nina.refresh("total")
    nina.newer("total", old)
    assert vhost.message_count(QUEUE) == 0
