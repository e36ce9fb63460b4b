"""Warm-up of Superset's own cache: what was warmed is there afterwards, and what was not says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.catalog.port import Wanted
from shared.errors import InvalidInput, NotFound, VitrineError
from shared.targets import ViewState
from shared.warmup.events import EventForm, take
from shared.warmup.inputs import fill
from tests.samples.warm import open_workshop
from tests.superset.asked import Asked
from tests.superset.conftest import chart, dashboard
from tests.superset.samples import add_chart, add_dashboard


async def outcomes(catalog, target, executor="admin", **wanted):
    """Of each chart of a target: "warmed", "already", or why not."""
    found = {}
    for part in catalog.parts(target, executor, ViewState()):
        try:
            warmth = await catalog.warm(part, Wanted(**wanted), run_id="run")
            found[part.target.id] = warmth.skipped or ("already" if warmth.already else "warmed")
        except VitrineError as error:
            found[part.target.id] = f"{error.code}: {error.message}"
    return found


async def test_a_dashboard_is_warm_afterwards_or_says_of_each_chart_why_not(make_catalog, made):
    found = await outcomes(make_catalog(), dashboard(made["Mixed"]), force=True)
    assert found[made["Nothing"]] == "warmed"
    assert found[made["Broken"]].startswith("query_failed: ")
    assert "no such column" in found[made["Broken"]]


async def test_a_chart_is_read_back_as_cached_and_then_is_warm_already(make_catalog, made, admin):
    number = made["Genders"]
    assert await outcomes(make_catalog(), chart(number), force=True) == {number: "warmed"}
    told = admin.get(f"/api/v1/chart/{number}/data/").json()["result"]
    assert told
    assert all(query["is_cached"] and query["cached_dttm"] for query in told)
    assert await outcomes(make_catalog(), chart(number)) == {number: "already"}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("title", "executor", "value"), [("Defaults", "ann", "girl"), ("Firsts", "ann", "boy"), ("Firsts", "ben", "girl")]
)
async def test_under_default_filters_a_page_finds_its_charts_warm(make_catalog, render, made, title, executor, value):
    """Firsts: its filter begins with the first item, which is another one for ben, who sees no boys."""
    asked, number = Asked(), made["Both"]
    render.watch = asked.listen
    await render(dashboard(made["Filtered"]), executor)
    assert await outcomes(make_catalog(), dashboard(made[title]), executor) == {number: "warmed"}
    assert await outcomes(make_catalog(), dashboard(made[title]), executor) == {number: "already"}
    await render(dashboard(made[title]), executor)
    ((was_cached, rows),) = await asked.answers(number)
    assert (was_cached, {row["gender"] for row in rows}) == (True, {value})


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("force", [False, True])
async def test_the_page_of_a_plain_dashboard_finds_its_charts_warm(make_catalog, render, made, admin, force):
    tables = admin.get("/api/v1/dataset/", params={"q": "(page_size:100)"}).json()["result"]
    births = next(row["id"] for row in tables if row["table_name"] == "birth_names")
    count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": f"count {force}"}  # a query of its own
    params = {"query_mode": "aggregate", "groupby": ["gender"], "metrics": [count], "row_limit": 10}
    number = add_chart(admin, births, f"Plain {force}", "table", params)
    plain, asked = dashboard(add_dashboard(admin, f"Plain {force}", [number], {})), Asked()
    render.watch = asked.listen
    await render(dashboard(made["Filtered"]))
    assert await outcomes(make_catalog(), plain, force=force) == {number: "warmed"}
    await render(plain)
    ((was_cached, rows),) = await asked.answers(number)
    assert (was_cached, len(rows)) == (True, 2)


async def test_what_is_warmed_anew_under_default_filters_is_read_back(make_catalog, made, superset):
    before = len(superset.processes[0].log)
    for title in ("Defaults", "Firsts"):
        assert await outcomes(make_catalog(), dashboard(made[title]), force=True) == {made["Both"]: "warmed"}
    asked = superset.processes[0].log[before:]
    assert asked.count('"PUT /api/v1/chart/warm_up_cache') == 2
    assert asked.count('"POST /api/v1/chart/data') == 3, "a look after each, and one for the first item"


async def test_a_chart_without_a_query_context_is_no_success(make_catalog, ids):
    found = await outcomes(make_catalog(), dashboard(ids["Misc Charts"]), force=True)
    assert len(found) == 3
    assert {
        came for came in found.values() if came != "warmed" and not came.startswith("query_failed: Superset")
    } == set()


async def test_what_superset_s_own_warm_up_refuses_is_a_failure_with_its_reason(make_catalog, made, admin):
    """A chart that was saved without its query, as the examples are."""
    like = admin.get(f"/api/v1/chart/{made['Genders']}").json()["result"]
    births = admin.get("/api/v1/dataset/", params={"q": "(page_size:100)"}).json()["result"]
    number = next(row["id"] for row in births if row["table_name"] == "birth_names")
    body = {"slice_name": "Unsaved", "viz_type": like["viz_type"], "params": like["params"]}
    body |= {"datasource_id": number, "datasource_type": "table"}
    unsaved = str(admin.post("/api/v1/chart/", json=body).json()["id"])
    found = await outcomes(make_catalog(), chart(unsaved), force=True)
    assert found[unsaved].startswith("query_failed: Superset did not warm it: ")
    assert admin.delete(f"/api/v1/chart/{unsaved}").status_code == 200


async def test_a_cold_chart_is_queried_once_and_needs_no_right_to_warm(make_catalog, made, superset):
    """One that no page of these tests shows."""
    number = made["States"]
    before = len(superset.processes[0].log)
    assert await outcomes(make_catalog(), chart(number), "ben") == {number: "warmed"}
    assert await outcomes(make_catalog(), chart(number), "ben") == {number: "already"}
    asked = superset.processes[0].log[before:]
    assert asked.count(f'"GET /api/v1/chart/{number}/data/') == 3
    assert "warm_up_cache" not in asked


async def test_what_the_executor_may_not_see_is_not_warmed(make_catalog, made):
    with pytest.raises(NotFound):
        await outcomes(make_catalog(), dashboard(made["Mixed"]), "eve")


@pytest.mark.parametrize("whole", [chart, dashboard])
@pytest.mark.parametrize(("executor", "why"), [("eve", "There is no such chart"), ("nobody", "no such active user")])
async def test_what_the_executor_may_no_longer_see_is_not_warmed(make_catalog, made, whole, executor, why):
    """As when somebody loses it, or goes, after the run was planned."""
    catalog = make_catalog()
    (part,) = catalog.parts(whole(made["Genders" if whole is chart else "Filtered"]), "admin", ViewState())
    with pytest.raises(NotFound, match=why):
        await catalog.warm(replace(part, executor=executor), Wanted(force=True), run_id="run")


def test_another_state_than_the_opening_one_is_refused(make_catalog, made):
    state = ViewState.of(active_tabs=["TAB-1"])
    with pytest.raises(InvalidInput, match="no other state"):
        make_catalog().parts(dashboard(made["Mixed"]), "admin", state)


def test_people_who_see_the_same_are_one_group(make_catalog, ids):
    groups = make_catalog().groups(dashboard(ids["USA Births Names"]))
    of = {name: group.access for group in groups for name in group.usernames}
    assert of["ann"] != of["ben"]
    assert len({group.access for group in groups}) == len(groups)


def tell(workshop, catalog, *tables):
    """An event of these tables of the examples: what depends on them, and the run that it made."""
    form = fill(EventForm, {"catalog": "superset", "database": "examples", "tables": list(tables)})
    affected = catalog.data_changed(form.database, form.names)
    sessions = workshop.world.sessions
    told = take(sessions, "e1", form, lambda _: affected, username="etl", correlation_id="c0ffee", budget_s=600)
    return affected, told.run


async def test_an_event_queries_exactly_the_charts_of_its_tables_anew(make_catalog, made, ids, tmp_path):
    workshop, catalog = open_workshop(tmp_path), make_catalog()
    workshop.catalogs["superset"] = catalog
    await outcomes(catalog, chart(made["Genders"]), force=True)
    affected, run = tell(workshop, catalog, "birth_names")
    assert made["Genders"] in affected.charts
    assert ids["Total Revenue"] not in affected.charts
    numbers = await workshop.warmer.decide(run.id)
    planned = workshop.outcomes(run.id)
    assert {one.target_id for one in planned if one.what == "data"} == set(affected.charts)
    assert {one.database for one in planned if one.what == "data"} == {"examples"}
    mine = {one.number for one in planned if one.target_id == made["Genders"]}
    ends = [await workshop.warmer.one(run.id, number, wait_s=1) for number in numbers if number in mine]
    came = {(outcome.executor, end.came, end.code) for outcome, end in ends}
    # Warmed, though it was warm already; ben sees other rows, and may not warm anything.
    assert came == {("admin", "warmed", ""), ("ben", "failed", "forbidden")}
    assert "'can warm up cache on Chart'" in next(end.reason for _, end in ends if end.code == "forbidden")
    workshop.world.close()


def test_a_database_of_superset_is_paused_by_its_name(make_catalog, made, tmp_path):
    workshop, catalog = open_workshop(tmp_path), make_catalog()
    with pytest.raises(NotFound, match=r"known: .*examples"):
        workshop.kindness.pause(catalog, "nope", username="ada")
    workshop.kindness.pause(catalog, "examples", username="ada", reason="load")
    (part,) = catalog.parts(chart(made["Genders"]), "admin", ViewState())
    pause = workshop.kindness.paused("superset", part.database)
    assert pause is not None
    assert pause.reason == "load"
    workshop.world.close()
