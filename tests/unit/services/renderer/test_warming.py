"""Outcomes: what was warmed is there, and what was left alone says why."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from services.renderer.warming import Busy
from shared.metadata.models import ViewLog
from shared.store.slots import Slots
from shared.warmup import report
from tests.samples.catalog import CATALOG
from tests.samples.warm import open_workshop


def words(outcomes):
    return {outcome.outcome for outcome in outcomes}


async def test_a_dashboard_is_warm_for_each_group_of_viewers_and_the_page_finds_it(workshop):
    world = workshop.world
    outcomes = await workshop.run(workshop.order("ids", dashboards=[world.id("overview")]))
    assert words(outcomes) == {"warmed"}
    assert {outcome.executor for outcome in outcomes if outcome.what == "data"} == {"ada", "emma", "arun"}
    for name in ("ada", "emma", "arun"):
        query = world.catalog.chart_query(world.principal(name), world.id("all-sales"), world.id("overview"))
        assert (await world.catalog.data.get(query)).came == "HIT"


async def test_options_of_filters_are_warmed(workshop):
    world = workshop.world
    outcomes = await workshop.run(workshop.order("native_filter_options", dashboard_ids=[world.id("overview")]))
    assert {outcome.what for outcome in outcomes} == {"options"}
    (_, query), *_ = world.catalog.option_queries(world.principal("emma"), world.id("overview"))
    assert (await world.catalog.data.get(query)).came == "HIT"


async def test_what_is_warm_is_left_alone_unless_forced(workshop):
    order = workshop.order("ids", charts=[workshop.world.id("pay")])
    first, second = [await workshop.run(order) for _ in range(2)]
    assert (words(first), words(second)) == ({"warmed"}, {"already_warm"})


async def test_nothing_is_warmed_from_a_paused_database(workshop):
    workshop.kindness.pause(workshop.world.catalog, "demo", username="ada", reason="migration")
    end = await workshop.first(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (end.came, end.code) == ("skipped", "paused")
    assert "migration" in end.reason


async def test_no_picture_is_rendered_of_what_reads_a_paused_database(workshop):
    workshop.kindness.pause(workshop.world.catalog, "demo", username="ada", reason="migration")
    outcomes = await workshop.run(workshop.order("dummy", ("pictures",)))
    empty = workshop.world.id("empty")  # reads nothing
    reading = [one for one in outcomes if (one.target_kind, one.target_id) != ("dashboard", empty)]
    assert {(one.outcome, one.code) for one in reading} == {("skipped", "paused")}
    assert all("migration" in one.reason for one in reading)
    assert {request.target.id for request in workshop.renderer.rendered} == {empty}


async def test_a_used_up_budget_skips_the_rest(workshop):
    order = workshop.order("dummy")
    made = workshop.runs.make(
        type(order)(**{name: getattr(order, name) for name in order.__slots__} | {"budget_s": -1})
    )
    numbers = await workshop.warmer.decide(made.id)
    _, end = await workshop.warmer.one(made.id, numbers[0], wait_s=1)
    assert (end.came, end.code) == ("skipped", "deadline_exceeded")


async def test_no_more_queries_at_once_than_the_database_takes(workshop, monkeypatch):
    slots = Slots(workshop.store, workshop.world.settings.store_prefix)
    async with slots.hold("native/demo", 2, wait_s=0) as one, slots.hold("native/demo", 2, wait_s=0) as other:
        assert one
        assert other
        made = workshop.runs.make(workshop.order("ids", charts=[workshop.world.id("pay")]))
        (number, *_) = await workshop.warmer.decide(made.id)
        with pytest.raises(Busy):
            await workshop.warmer.one(made.id, number, wait_s=0.2)
    assert (await workshop.warmer.one(made.id, number, wait_s=0.2))[1].came == "warmed"


async def test_a_picture_is_warm_when_it_can_be_read_back(workshop):
    order = workshop.order("ids", ("pictures",), charts=[workshop.world.id("pay")])
    first, second = [await workshop.run(order) for _ in range(2)]
    assert (words(first), words(second)) == ({"warmed"}, {"already_warm"})
    assert len(workshop.renderer.rendered) == len(first)


async def test_a_message_that_comes_twice_changes_nothing(workshop):
    made = workshop.runs.make(workshop.order("ids", charts=[workshop.world.id("pay")]))
    numbers = await workshop.warmer.decide(made.id)
    assert await workshop.warmer.decide(made.id) == numbers
    ends = [(await workshop.warmer.one(made.id, numbers[0], wait_s=1))[1].came for _ in range(2)]
    assert ends == ["warmed", "warmed"]


async def test_a_chart_that_nobody_may_see_is_an_outcome_too(tmp_path):
    text = CATALOG.replace("owners: [olga]\ndashboards", "owners: []\ndashboards").replace(
        "roles: [Admin]}", "roles: []}"
    )
    workshop = open_workshop(tmp_path, text=text)
    (outcome,) = await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (outcome.outcome, outcome.reason) == ("skipped", "No active user may see it.")
    workshop.world.close()


async def test_stale_warms_only_what_is_there_and_about_to_expire(tmp_path):
    workshop = open_workshop(tmp_path, data_ttl_s=1800)
    await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    outcomes = await workshop.run(workshop.order("stale", within="1h"))
    assert {one.title for one in outcomes if one.outcome == "warmed"} == {"Pay"}
    assert words(outcomes) == {"warmed", "skipped"}
    assert words(await workshop.run(workshop.order("stale", within="1m"))) == {"already_warm", "skipped"}
    workshop.world.close()


async def test_a_run_ends_when_its_last_outcome_is_written(workshop):
    made = workshop.runs.make(workshop.order("dummy"))
    for number in await workshop.warmer.decide(made.id):
        assert workshop.runs.run(made.id).status == "Running"
        await workshop.warmer.one(made.id, number, wait_s=1)
    summary = report.report(workshop.world.sessions, made.id)
    assert (summary["status"], summary["outcomes_by_word"]["pending"]) == ("Done", 0)


async def test_a_chart_that_its_dashboard_does_not_hold_is_skipped_with_that_reason(workshop):
    world = workshop.world
    order = workshop.order("ids", charts=[world.id("pay")], within=world.id("overview"))
    assert {one.reason for one in await workshop.run(order)} == {"It does not hold the chart."}


async def test_a_filter_over_other_data_than_the_charts_is_warm_for_each_group(tmp_path):
    filters = "filters: [{id: region, title: Region, type: select, dataset: sales, column: region}]"
    text = CATALOG.replace("published: true, layout: {rows: []}", f"published: true, {filters}, layout: {{rows: []}}")
    workshop = open_workshop(tmp_path, text=text)
    world = workshop.world
    await workshop.run(workshop.order("native_filter_options", dashboard_ids=[world.id("empty")]))
    for name in ("ada", "emma", "arun"):
        ((_, query),) = world.catalog.option_queries(world.principal(name), world.id("empty"))
        assert query is not None
        assert (await world.catalog.data.get(query)).came == "HIT"
    workshop.world.close()


async def test_a_viewer_who_forces_a_reading_between_ours_and_the_look_at_it_makes_no_failure(workshop, monkeypatch):
    data = workshop.world.catalog.data
    read = data.get

    async def get(query, **options):
        answer = await read(query, **options)
        with closing(sqlite3.connect(workshop.world.settings.state_dir / "demo.sqlite")) as database, database:
            database.execute("INSERT INTO payroll VALUES ('new', 5)")
        await read(query, force=True)
        return answer

    monkeypatch.setattr(data, "get", get)
    end = await workshop.first(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (end.came, end.code) == ("warmed", "")


async def test_of_a_deleted_dashboard_and_of_a_catalog_that_was_taken_away_only_its_outcome_is_skipped(workshop):
    workshop.see("emma", "overview", datetime.now(UTC) - timedelta(hours=1))
    with workshop.world.sessions.begin() as session:
        for catalog in ("native", "superset"):
            gone = {"catalog": catalog, "target_kind": "dashboard", "target_id": "4711", "source": "page"}
            session.add(ViewLog(username="emma", at=datetime.now(UTC), **gone))
    outcomes = await workshop.run(workshop.order("top_n_dashboards", ("data", "pictures")))
    assert {one.outcome for one in outcomes if one.target_id == "4711"} == {"skipped"}
    assert {one.outcome for one in outcomes if one.target_id != "4711"} == {"warmed"}
