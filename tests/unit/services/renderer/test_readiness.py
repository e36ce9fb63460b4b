from __future__ import annotations

from typing import Any

import pytest

from services.renderer import readiness
from services.renderer.readiness import Blocker, Grow, Ready, Waiting, check_charts, judge, not_ready, question
from shared.catalog.port import Readiness
from shared.errors import CatalogUnavailable, ChartFailed, LoginPage, PageRefused
from shared.targets import TargetKind

RULE = Readiness(root="#root", holder=".chart", terminal=".done", failed=".bad", failed_root="#sorry")


def still(**changes: Any) -> dict[str, Any]:
    answer = {"state": "ready", "holders": 2, "failed": [], "empty": 0, "title": "T", "width": 8, "height": 6}
    return answer | {"restless": False} | changes


def waiting_for(*whats: str) -> Waiting:
    return Waiting(
        tuple(Blocker(what, "3", "Sales") if what in ("chart", "blank") else Blocker(what) for what in whats)
    )


def test_the_script_is_shipped_with_the_package() -> None:
    assert "__vitrine_readiness__" in readiness.init_script()
    assert "__vitrine_readiness__" in readiness.EXPRESSION


def test_the_question_speaks_the_scripts_names() -> None:
    asked = question(RULE, full=True, may_grow=False, slice_ms=7)
    assert asked["rule"]["failedRoot"] == "#sorry"
    assert asked["rule"]["reasonAttribute"] == "data-reason"
    assert (asked["options"]["full"], asked["options"]["mayGrow"], asked["options"]["sliceMs"]) == (True, False, 7)
    script = readiness.init_script()
    assert all(f"options.{name}" in script for name in asked["options"])
    assert all(f"rule.{name}" in script for name in asked["rule"])


def test_a_ready_answer_holds_what_the_page_said() -> None:
    ready = judge(still(failed=[["3", " no such\n column. ", "Sales"], ["4", "", "Costs"]], empty=1))
    assert isinstance(ready, Ready)
    assert ready.failed == (("3", "no such column"), ("4", "Costs gives no reason"))
    assert (ready.holders, ready.empty, ready.width, ready.height) == (2, 1, 8, 6)


def test_a_page_may_ask_for_more_height() -> None:
    assert judge({"state": "grow", "height": 4000}) == Grow(4000)


@pytest.mark.parametrize("state", ["ready", "waiting", "refused"])
def test_a_page_that_lacks_a_file_of_its_own_is_an_outage_whatever_it_says(state: str) -> None:
    files = [["http://vitrine/static/css/base.css?v=1", 502], ["http://vitrine/static/js/boot.js", 0]]
    with pytest.raises(CatalogUnavailable, match=r"did not serve /static/css/base.css \(status 502\), nor 1 more\."):
        judge(still(state=state, reason="", blockers=[], unserved=files))


@pytest.mark.parametrize(("state", "error"), [("login", LoginPage), ("refused", PageRefused)])
def test_a_page_that_is_no_dashboard_is_an_error(state: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        judge({"state": state, "reason": "x" * 1000})


@pytest.mark.parametrize(
    ("blockers", "words"),
    [
        (("chart", "spinner"), "chart 3 (Sales) never finished drawing"),
        (("blank",), "chart 3 (Sales) stayed blank"),
        (("chart",) * 5, "and 2 more never finished drawing"),
        (("root", "chart"), "never showed its content"),
        (("spinner", "spinner"), ": a loading indicator never went away."),
        (("font", "image"), "a font never loaded; an image never loaded"),
    ],
)
def test_what_was_missing_is_named(blockers: tuple[str, ...], words: str) -> None:
    assert words in not_ready(waiting_for(*blockers), 12.3).message


def test_every_blocker_of_the_script_has_its_words() -> None:
    for what in ("loading", "root", "spinner", "image", "font", "request", "restless"):
        assert f'"{what}"' in readiness.init_script()
        assert not not_ready(waiting_for(what), 1).message.endswith(f": {what}.")


def test_a_silent_script_is_named() -> None:
    assert "never paused" in not_ready(None, 1).message


@pytest.mark.parametrize(
    ("holders", "failed", "kind", "words"),
    [(1, 1, TargetKind.CHART, "The chart failed: no"), (3, 3, TargetKind.DASHBOARD, "All 3 charts failed")],
)
def test_a_picture_of_nothing_but_failures_is_none(holders: int, failed: int, kind: TargetKind, words: str) -> None:
    with pytest.raises(ChartFailed, match=words):
        check_charts(Ready(holders, (("1", "no"),) * failed, 0, ""), kind)


@pytest.mark.parametrize(("holders", "failed"), [(0, 0), (2, 0), (2, 1)])
def test_a_picture_with_something_true_is_kept(holders: int, failed: int) -> None:
    check_charts(Ready(holders, (("1", "no"),) * failed, 0, ""), TargetKind.DASHBOARD)


def test_what_failed_of_a_picture_is_told_in_a_sentence() -> None:
    assert Ready(2, (), 0, "").flaw == ""
    flaw = Ready(3, (("7", "no such column"),), 0, "").flaw
    assert flaw == "1 of 3 charts failed; the first of them, chart 7: no such column."
