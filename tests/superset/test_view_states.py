"""Pictures of a dashboard in another state than its opening one: what Superset's own permalink leads to is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.api.view_states import view_state
from shared.identity import Principal
from shared.targets import Target, ViewState
from tests.harness import Superset
from tests.superset.conftest import Rendering, dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
THIRD_TAB, CHART_IN_IT = "TAB-l_9I0aNYZ", "CHART-ZECnzPz8Bi"  # of the survey; the chart is far down
GIRLS = {
    "id": "NATIVE_FILTER-one",
    "extraFormData": {"filters": [{"col": "gender", "op": "IN", "val": ["girl"]}]},
    "filterState": {"value": ["girl"], "label": "girl"},
    "ownState": {},
}
LOOK = """() => [Math.round(scrollY), ...[...document.querySelectorAll("[data-test-chart-id]")]
  .filter(holder => holder.getClientRects().length)
  .map(holder => [holder.dataset.testChartId, Math.round(holder.getBoundingClientRect().y), holder.innerText])]"""


@pytest.fixture
def permalink(admin: httpx.Client) -> Callable[..., str]:
    """`permalink(target, anchor="TAB-1")`: its key, as Superset's *Share* makes it."""

    def make(target: Target, **state: Any) -> str:
        return str(admin.post(f"/api/v1/dashboard/{target.id}/permalink", json=state).raise_for_status().json()["key"])

    return make


async def look(render: Rendering, target: Target, **options: Any) -> Any:
    """How far the page was scrolled when it was captured, and the charts that were shown: id, place, text."""
    seen: list[Any] = []

    async def watch(lease: Any) -> None:
        seen.extend(await lease.page.evaluate(LOOK))

    render.watch = watch
    await render(target, **options)
    return seen


async def look_at_permalink(render: Rendering, superset: Superset, target: Target, key: str) -> Any:
    """What Superset itself shows there: the page that its own worker would open."""
    spec = render.catalog.page(target, "admin", ViewState(), nonce="x")
    url = f"{superset.url}/superset/dashboard/p/{key}/?standalone=3&vitrine_render=x"
    return await look(render, target, spec=replace(spec, url=url, in_app=None))


@pytest.mark.parametrize(("anchor", "is_scrolled"), [(THIRD_TAB, False), (CHART_IN_IT, True)])
async def test_an_anchor_is_shown_as_superset_shows_it(render, superset, permalink, ids, anchor, is_scrolled):
    survey = dashboard(ids["FCC New Coder Survey 2018"])
    theirs = await look_at_permalink(render, superset, survey, permalink(survey, anchor=anchor))
    ours = await look(render, survey, view_state=view_state({"anchor": anchor}, None))
    assert ours == theirs
    assert (ours[0] > 0) == is_scrolled
    assert ids["Location of Current Developers"] in [number for number, *_ in ours[1:]], "it is in that tab"


async def test_the_filters_of_a_permalink_are_applied(render, catalog, superset, permalink, made):
    filtered = dashboard(made["Filtered"])
    key = permalink(filtered, dataMask={GIRLS["id"]: GIRLS}, activeTabs=[], urlParams=[])
    saved = catalog.saved_state(Principal("admin", catalog="superset"), filtered, key)
    ours = await look(render, filtered, view_state=view_state(saved, None))
    assert ours == await look_at_permalink(render, superset, filtered, key)
    assert "girl" in ours[1][2]
    assert "boy" not in ours[1][2]
    assert "boy" in (await look(render, filtered))[1][2], "the next picture knows nothing of it"


@pytest.mark.parametrize("who", ["girl", "boy"])
async def test_url_parameters_reach_the_queries_of_the_charts(render, made, who):
    """The chart's SQL asks for url_param("who")."""
    state = view_state({"urlParams": [["who", who], ["utm_source", "mail"]]}, None)
    text = (await look(render, dashboard(made["Asking"]), view_state=state))[1][2]
    assert [word for word in ("boy", "girl") if word in text.split()] == [who]
