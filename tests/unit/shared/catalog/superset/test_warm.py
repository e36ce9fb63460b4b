"""What it takes to warm a chart: nothing is queried twice."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.superset import warm
from shared.catalog.superset.client import Credential
from shared.errors import NotKept, QueryFailed

WHO = Credential(cookie="of-ann")


class SomeSuperset:
    """Runs the queries of chart 1 when they are not kept, and keeps them if `keeps`. `later`: through its workers."""

    def __init__(self, *, kept: bool = False, keeps: bool = True, later: bool = False) -> None:
        self.kept, self.keeps, self.later = kept, keeps, later
        self.runs = 0

    def once(self, path: str, who: Credential, **options: Any) -> dict[str, Any]:
        if self.later and not self.kept:
            return {"job_id": "x"}
        was_kept = self.kept
        if not was_kept:
            self._run()
        return {"result": [{"is_cached": was_kept}]}

    def get(self, path: str, who: Credential, **options: Any) -> dict[str, Any]:
        return {"result": {"query_context": None}}

    def put(self, path: str, who: Credential, body: Any, **options: Any) -> dict[str, Any]:
        self._run()
        return {"result": [{"viz_error": None, "viz_status": "success"}]}

    def _run(self) -> None:
        self.runs += 1
        self.kept = self.keeps


def warm_if_cold(superset: Any) -> bool:
    return warm.warm_if_cold(superset, WHO, "1", None, [])


def test_a_cold_chart_is_queried_once_and_is_warm_then():
    superset = SomeSuperset()
    assert warm_if_cold(superset)
    assert (superset.runs, superset.kept) == (1, True)
    assert not warm_if_cold(superset), "it is warm already"
    assert superset.runs == 1


def test_where_superset_answers_later_the_warm_up_route_runs_it():
    superset = SomeSuperset(later=True)
    assert warm_if_cold(superset)
    assert (superset.runs, superset.kept) == (1, True)


def test_of_a_chart_that_has_no_query_to_ask_for_superset_s_word_is_taken():
    superset: Any = SomeSuperset(keeps=False)
    assert warm.warm_if_cold(superset, WHO, "1", "2", [{"col": "gender", "op": "IN", "val": ["girl"]}])
    assert superset.runs == 1


@pytest.mark.parametrize("ask", [warm_if_cold, lambda one: warm.warm(one, WHO, "1", None, [])])
def test_what_superset_does_not_keep_is_no_success(ask):
    with pytest.raises(NotKept, match="did not find it in its cache"):
        ask(SomeSuperset(keeps=False))


@pytest.mark.parametrize("status", ["failed", "pending", None])
def test_another_status_than_success_is_none_though_no_error_is_named(status):
    superset: Any = SomeSuperset(kept=True)
    superset.put = lambda *_, **__: {"result": [{"viz_error": None, "viz_status": status}]}
    with pytest.raises(QueryFailed, match="did not warm it"):
        warm.warm(superset, WHO, "1", None, [])


def test_a_reason_of_superset_s_is_told():
    superset: Any = SomeSuperset()
    superset.put = lambda *_, **__: {"result": [{"viz_error": [{"message": "no such column."}]}]}
    with pytest.raises(QueryFailed, match=r"did not warm it: no such column\.$"):
        warm.warm(superset, WHO, "1", None, [])
