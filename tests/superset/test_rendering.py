"""Pictures of a real Superset's pages: complete, of the right rows, and without a trace in Superset."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from services.renderer.image import decode
from services.renderer.lease import Lease
from services.renderer.readiness import Ready
from shared.errors import ChartFailed, LoginPage, PageRefused
from shared.targets import Format, Size, Target, ViewState
from tests.harness import wait_until_async
from tests.superset.conftest import Rendering, chart, dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
DASHBOARDS = {
    "Sales Dashboard": 6,
    "Misc Charts": 3,
    "Video Game Sales": 5,
    "World Bank's Data": 9,
    "FCC New Coder Survey 2018": 7,
    "USA Births Names": 10,
    "Slack Dashboard": 9,
    "Featured Charts": 25,
    "deck.gl Demo": 7,
}
# Each holder's place and text; a word cloud is laid out by chance.
LOOK = """whole => [...document.querySelectorAll("[data-test-chart-id]")].filter(holder =>
  whole || holder.getBoundingClientRect().top < window.innerHeight).map(holder => {
  const {x, y, width, height} = holder.getBoundingClientRect();
  const text = holder.dataset.testVizType === "word_cloud" ? "" : holder.innerText;
  return [holder.dataset.testChartId, x, y, width, height, text].join("|");
})"""
DRAWN = """() => ["[data-test=slice-container]:has([id^=chart-id-] > *)", "[data-test-chart-id]"]
  .map(selector => document.querySelectorAll(selector).length)"""
LOGGED = re.compile(r'"(POST|PUT|PATCH|DELETE) (\S+) HTTP')


async def look(render: Rendering, target: Target, thumbnail: Size | None, *, fresh: bool) -> tuple[Ready, object]:
    """Text and layout of what was captured; `fresh`: of a page that was loaded anew, with its clocks as they are."""
    spec = render.catalog.page(target, "admin", ViewState(), nonce="x")
    seen = {}

    async def watch(lease):
        seen["look"] = await lease.page.evaluate(LOOK, thumbnail is None)

    render.watch = watch
    as_it_is = replace(spec, in_app=None, is_hasty=False, draws_ahead="")
    done = await render(target, spec=as_it_is if fresh else spec, thumbnail=thumbnail)
    return done.ready, seen["look"]


async def test_a_thumbnail_draws_the_rows_that_it_shows_and_a_screenshot_all(render, ids):
    counts = []

    async def watch(lease):
        counts.append(await lease.page.evaluate(DRAWN))

    for thumbnail in (Size(800, 600), None, Size(800, 600)):
        render.watch = watch
        await render(dashboard(ids["Featured Charts"]), thumbnail=thumbnail)
    shown, whole, again = counts
    assert whole == [25, 25]
    assert shown == again
    assert 9 <= shown[0] <= 12 < shown[1] == 25, "three rows of them are in view"


async def test_a_thumbnail_queries_the_rows_that_it_shows(render, superset, ids):
    target = dashboard(ids["Featured Charts"])
    await render(target, thumbnail=None)  # the application is loaded, and all that it asked for has come
    before = len(superset.processes[0].log)
    await render(target, thumbnail=Size(800, 600))
    queries = superset.processes[0].log[before:].count('"POST /api/v1/chart/data')
    assert 9 <= queries <= 12, "of 25 charts"


@pytest.mark.parametrize("title", ["Slack Dashboard", "deck.gl Demo"])
async def test_a_page_lets_go_of_the_dashboards_that_it_showed(render, ids, title):
    """Superset's own front end and its maps keep them, and a page shows hundreds before it is loaded anew."""
    nodes, elements = [], []

    async def weigh(lease):
        await lease.collect_garbage(10)
        nodes.append((await lease.cdp.send("Memory.getDOMCounters"))["nodes"])
        elements.append(await lease.page.evaluate("() => document.querySelectorAll('*').length"))

    for _ in range(6):
        render.watch = weigh
        await render(dashboard(ids[title]))
    assert (nodes[-1] - nodes[1]) / 4 < elements[-1] / 4, "what each further one leaves, and what one has"


async def test_every_bundled_dashboard_is_complete_and_looks_the_same_inside_the_application(render, ids):
    """Thumbnails and screenshots, which wait for other things, in random order."""
    wanted = [(title, thumbnail) for title in DASHBOARDS for thumbnail in (None, Size(800, 600))]
    fresh = {}
    for title, thumbnail in wanted:
        ready, fresh[title, thumbnail] = await look(render, dashboard(ids[title]), thumbnail, fresh=True)
        assert (ready.holders, ready.failed, ready.restless) == (DASHBOARDS[title], (), False), title
    random.Random(7).shuffle(wanted)
    starts = render.pool.stats["starts"]  # a test before this one may have worn its browser out
    for title, thumbnail in wanted:
        found = await look(render, dashboard(ids[title]), thumbnail, fresh=False)
        assert found[1] == fresh[title, thumbnail], (title, thumbnail)
    assert render.pool.stats["starts"] == starts, "one browser for all of them"


async def is_still(lease: Lease) -> None:
    """Nothing is drawn any more: for two seconds after the capture the page looks as it did."""
    first = await lease.page.screenshot()

    async def has_changed() -> bool:
        return await lease.page.screenshot() != first

    with pytest.raises(AssertionError, match="a change"):
        await wait_until_async(has_changed, 2, "a change", interval_s=0.4)


@pytest.mark.parametrize("title", DASHBOARDS)
async def test_no_dashboard_is_caught_half_drawn(render, ids, title):
    render.watch = is_still
    assert (await render(dashboard(ids[title]))).ready.holders == DASHBOARDS[title]


async def test_only_reads_reach_superset(render, superset, ids):
    before = len(superset.processes[0].log)
    for title in DASHBOARDS:
        await render(dashboard(ids[title]), thumbnail=None)
    await render(chart(ids["Total Revenue"]))
    written = LOGGED.findall(superset.processes[0].log[before:])
    assert {path.split("?")[0] for _, path in written} <= {"/api/v1/chart/data", "/superset/explore_json/"}
    assert written, "data are read so"


async def test_only_the_first_page_of_an_executor_counts_as_a_view(render, superset, ids):
    before = len(superset.processes[0].log)
    for title in ("Sales Dashboard", "Misc Charts", "Video Game Sales"):
        await render(dashboard(ids[title]), executor="ann")
    opened = re.findall(r'"GET (/superset/dashboard/\d+/\S*)', superset.processes[0].log[before:])
    assert len(opened) <= 1
    assert all("vitrine_render" in path for path in opened), "a page that a render opens says so"


async def test_a_rule_of_rows_shows_in_the_picture(render, ids):
    births = dashboard(ids["USA Births Names"])
    all_rows = (await render(births, executor="ann")).pictures[Format.PNG]
    girls_only = (await render(births, executor="ben")).pictures[Format.PNG]
    assert all_rows != girls_only


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_session_that_is_none_is_an_error_and_no_picture(render, ids, fresh):
    target = dashboard(ids["Misc Charts"])
    if not fresh:
        await render(target)
    spec = render.catalog.page(target, "admin", ViewState(), nonce="x")
    with pytest.raises(LoginPage):
        await render(target, spec=replace(spec, cookies={"session": "ended"}, in_app=None if fresh else spec.in_app))


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_dashboard_that_was_deleted_meanwhile_is_refused(render, ids, fresh):
    target = dashboard(ids["Misc Charts"])
    await render(target)
    spec = render.catalog.page(target, "admin", ViewState(), nonce="x")
    gone = spec.url.replace(f"/dashboard/{target.id}/", "/dashboard/4711/")
    with pytest.raises(PageRefused):
        await render(target, spec=replace(spec, url=gone, in_app=None if fresh else spec.in_app), seconds=40)


async def test_failed_and_empty_charts_are_ends_too(render, made):
    with pytest.raises(ChartFailed, match="no such column"):
        await render(chart(made["Broken"]))
    assert (await render(chart(made["Nothing"]))).ready.empty == 1
    mixed = (await render(dashboard(made["Mixed"]))).ready
    assert (mixed.holders, mixed.empty) == (2, 1)
    assert mixed.failed == ((made["Broken"], "Data error Error: no such column: no_such_column"),)
    assert (await render(dashboard(made["Empty"]))).ready.holders == 0


async def test_a_view_state_is_what_the_picture_shows(render, catalog, admin, ids):
    coders = dashboard(ids["FCC New Coder Survey 2018"])
    position = json.loads(admin.get(f"/api/v1/dashboard/{coders.id}").json()["result"]["position_json"])
    tabs = {item["meta"]["text"]: name for name, item in position.items() if name.startswith("TAB-")}
    _, plain = await look(render, coders, None, fresh=False)
    second = tabs[next(text for text in tabs if "Aspiring" in text)]
    state = ViewState.of({}, [second], "", [["preselect", "1"]])
    shown: dict[str, Any] = {}

    async def watch(lease):
        shown.update(look=await lease.page.evaluate(LOOK, True), url=lease.page.url)

    render.watch = watch
    await render(coders, view_state=state, thumbnail=None)
    assert shown["look"] != plain
    assert "preselect=1" in shown["url"]
    assert (await look(render, coders, None, fresh=False))[1] == plain, "the next picture knows nothing of that state"


async def test_a_filter_of_the_data_mask_is_applied(render, admin, made):
    filtered = {
        "id": "NATIVE_FILTER-one",
        "extraFormData": {"filters": [{"col": "gender", "op": "IN", "val": ["girl"]}]},
        "filterState": {"value": ["girl"], "label": "girl"},
    }
    texts = []

    async def watch(lease):
        texts.append(await lease.page.inner_text("[data-test=grid-container]"))

    render.watch = watch
    await render(dashboard(made["Filtered"]))
    render.watch = watch
    await render(dashboard(made["Filtered"]), view_state=ViewState.of({"NATIVE_FILTER-one": filtered}))
    assert "boy" in texts[0]
    assert "girl" in texts[1]
    assert "boy" not in texts[1]


async def test_the_whole_page_and_a_pdf(render, ids):
    done = await render(
        dashboard(ids["Featured Charts"]), thumbnail=None, formats=(Format.PNG, Format.PDF), window=Size(1600, 1200)
    )
    picture = decode(done.pictures[Format.PNG])
    assert (picture.width, picture.height) == (1600, done.ready.height)
    assert picture.height > 2000
    assert done.pictures[Format.PDF].startswith(b"%PDF")


@pytest.mark.parametrize("kind", ["table", "deck_hex", "echarts_timeseries_line", "world_map", "big_number"])
async def test_charts_of_every_sort_have_pictures(render, admin, kind):
    query = f"(filters:!((col:viz_type,opr:eq,value:{kind})),columns:!(id),page_size:100)"
    number = admin.get("/api/v1/chart/", params={"q": query}).json()["result"][-1]["id"]
    render.watch = is_still
    done = await render(chart(str(number)))
    assert (done.ready.holders, done.ready.failed) == (1, ())
