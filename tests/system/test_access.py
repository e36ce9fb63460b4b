"""Who gets which picture."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.person import Person, image_of
from tests.harness.stack import Stack

# What a request says of itself; the rest of two answers must be alike.
OWN = {"correlation_id", "x-correlation-id", "date", "content-length"}


def test_people_under_different_row_rules_get_different_keys_and_pictures(stack: Stack) -> None:
    nora, sven = stack.login("nora"), stack.login("sven")
    assert nora.thumbnail_url("by-product") != sven.thumbnail_url("by-product")
    first, second = image_of(nora.picture("by-product")), image_of(sven.picture("by-product"))
    assert first.size == second.size
    assert first.tobytes() != second.tobytes()
    assert nora.status("by-product")["cache_key"] != sven.status("by-product")["cache_key"]


def test_people_under_the_same_rule_have_keys_of_their_own(stack: Stack) -> None:
    nora, nina = stack.login("nora"), stack.login("nina")
    assert nora.thumbnail_url("by-product") != nina.thumbnail_url("by-product")
    assert image_of(nora.picture("by-product")).tobytes() == image_of(nina.picture("by-product")).tobytes()
    assert [executor for *_, executor in _executors(stack, "by-product")].count("nina") == 1


def _executors(stack: Stack, slug: str) -> list[tuple[Any, ...]]:
    number = stack.ids[slug].split("/")[1]
    return stack.rows(f"SELECT executor FROM render_records WHERE target_kind = 'chart' AND target_id = '{number}'")


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("GET", "", None),
        ("GET", "thumbnail/x/", None),
        ("GET", "thumbnail/", None),
        ("POST", "thumbnail/", {"force": True}),
        ("POST", "cache_dashboard_screenshot/", {}),
        ("GET", "screenshot/abcdef/", None),
        ("GET", "filters/", None),
    ],
)
def test_what_a_user_may_not_see_looks_like_what_does_not_exist(
    stack: Stack, method: str, rest: str, body: object
) -> None:
    nora = stack.login("nora")
    hidden, absent = ("draft", "dashboard/4711")
    answers = [nora.client.request(method, nora.api(slug, rest), json=body) for slug in (hidden, absent)]
    assert [answer.status_code for answer in answers] == [404, 404]
    first, second = (_without_own(answer) for answer in answers)
    assert first == second


def _without_own(answer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    return headers, {name: value for name, value in answer.json().items() if name not in OWN}


def test_the_page_of_a_hidden_dashboard_is_404_too_and_the_lists_leave_it_out(stack: Stack) -> None:
    nora, ada, guy = (stack.login(name) for name in ("nora", "ada", "guy"))
    assert nora.get(f"/{stack.ids['draft']}/").status_code == 404
    assert nora.get("/dashboard/4711/").status_code == 404
    assert "Secret draft" not in _titles(nora)
    assert "Secret draft" in _titles(ada)
    assert guy.get("/api/v1/chart/").json()["count"] == 0


def _titles(person: Person) -> set[str]:
    return {entry["dashboard_title"] for entry in person.get("/api/v1/dashboard/?page_size=100").json()["result"]}


def test_without_a_login_nothing_is_told(stack: Stack) -> None:
    hugo = stack.login("hugo")
    answer = hugo.client.get(hugo.api("shop", "thumbnail/x/"), headers={"Authorization": ""})
    assert answer.status_code == 401
    assert "shop" not in answer.text.lower()
