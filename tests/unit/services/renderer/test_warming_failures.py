"""Outcomes of what could not be warmed: each has its reason, and none holds up the others."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.catalog.superset.catalog import SupersetCatalog
from shared.errors import BrokerUnavailable, LoginPage, StoreUnavailable
from shared.metadata.models import Backoff, Chart, RowLevelRule, WarmupRun
from shared.settings import Settings
from shared.warmup import report
from shared.warmup.kindness import Subject
from tests.harness import free_port
from tests.samples.catalog import SECRET


def break_chart(world):
    with world.sessions.begin() as session:
        session.query(Chart).filter_by(slug="all-sales").one().sql = "SELECT nope FROM sales"


async def test_a_store_that_keeps_nothing_is_a_failure(workshop, monkeypatch):
    async def forget(*_):
        """Answers as if it had kept it."""

    monkeypatch.setattr(workshop.store, "set", forget)
    end = await workshop.first(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (end.came, end.code) == ("failed", "not_kept")


async def test_a_failing_chart_is_left_alone_for_longer_each_time(workshop):
    order = workshop.order("ids", charts=[workshop.world.id("all-sales")])
    break_chart(workshop.world)
    assert (await workshop.first(order)).code == "query_failed"
    held = await workshop.first(order)
    assert (held.came, held.code) == ("skipped", "backing_off")
    assert "failed 1 times" in held.reason
    subject = Subject.told(workshop.kindness.backoffs()[0])
    waits = [workshop.kindness.failed(subject, "x", "y") - datetime.now(UTC) for _ in range(3)]
    assert [round(wait / timedelta(minutes=1)) for wait in waits] == [4, 8, 16]


async def test_a_success_ends_the_back_off(workshop):
    world, order = workshop.world, workshop.order("ids", charts=[workshop.world.id("pay")])
    (outcome, *_) = await workshop.run(order)
    workshop.kindness.failed(Subject.of(outcome), "query_failed", "down")
    with world.sessions.begin() as session:
        session.query(Backoff).update({"retry_at": datetime.now(UTC)})
    assert (await workshop.first(order)).came == "already_warm"
    assert workshop.kindness.backoffs() == []


async def test_a_group_whose_rule_fails_holds_up_no_other_and_is_not_helped_by_them(workshop):
    order = workshop.order("ids", charts=[workshop.world.id("all-sales")])
    with workshop.world.sessions.begin() as session:
        session.query(RowLevelRule).filter(RowLevelRule.clause.contains("Asia")).one().clause = "nope = 1"
    for expected in ("failed", "skipped"):
        outcomes = await workshop.run(order)
        assert len(outcomes) > 1
        assert {one.executor for one in outcomes if one.outcome == expected} == {"arun"}
        assert {one.outcome for one in outcomes if one.executor != "arun"} <= {"warmed", "already_warm"}


async def test_a_picture_that_fails_is_left_alone_and_its_rows_are_not(workshop):
    workshop.renderer.error = LoginPage("The page is a login page.")
    order = workshop.order("ids", ("data", "pictures"), charts=[workshop.world.id("pay")])
    for minutes, ends in ((2, {"failed"}), (2, {"skipped"}), (4, {"failed"})):
        outcomes = await workshop.run(order)
        assert {one.outcome for one in outcomes if one.what == "picture"} == ends
        assert {one.outcome for one in outcomes if one.what == "data"} <= {"warmed", "already_warm"}
        rows = workshop.kindness.backoffs()
        assert {2**row.failures for row in rows} == {minutes}
        if ends == {"skipped"}:
            with workshop.world.sessions.begin() as session:
                session.query(Backoff).update({"retry_at": datetime.now(UTC)})


async def test_a_login_page_is_a_failure_with_its_reason(workshop):
    workshop.renderer.error = LoginPage("The page is a login page.")
    end = await workshop.first(workshop.order("ids", ("pictures",), charts=[workshop.world.id("pay")]))
    assert (end.came, end.code) == ("failed", "login_page")


async def test_a_picture_that_shows_a_failed_chart_is_a_failure_and_is_not_warm_already(workshop):
    order = workshop.order("ids", ("pictures",), dashboards=[workshop.world.id("overview")])
    workshop.renderer.flaw = "1 of 2 charts failed; the first of them, chart 3: no such column."
    for _ in range(2):
        end = await workshop.first(order)
        assert (end.came, end.code) == ("failed", "chart_failed")
        assert "no such column" in end.reason
        with workshop.world.sessions.begin() as session:
            session.query(Backoff).delete()
    workshop.renderer.flaw = ""
    assert (await workshop.first(order)).came == "warmed"


async def test_a_fault_of_ours_is_the_outcome_of_what_it_happened_in(workshop, monkeypatch):
    async def fault(*_, **__):
        raise KeyError("a bug")

    monkeypatch.setattr(type(workshop.world.catalog), "warm", fault)
    end = await workshop.first(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert (end.came, end.code) == ("failed", "internal")
    assert "the log" in end.reason


async def test_a_fault_of_ours_in_planning_is_the_outcome_of_its_target_and_the_others_are_warmed(
    workshop, monkeypatch
):
    world, groups = workshop.world, workshop.world.catalog.groups

    def fault(target):
        if target == world.target("pay"):
            raise KeyError("a bug")
        return groups(target)

    monkeypatch.setattr(world.catalog, "groups", fault)
    outcomes = await workshop.run(workshop.order("ids", charts=[world.id("pay"), world.id("all-sales")]))
    assert [one.code for one in outcomes if one.target_id == world.id("pay")] == ["internal"]
    assert {one.outcome for one in outcomes if one.target_id != world.id("pay")} == {"warmed"}


async def test_what_was_decided_and_could_not_be_published_fails_with_the_reason(workshop):
    made = workshop.runs.make(workshop.order("ids", charts=[workshop.world.id("pay")]))
    await workshop.warmer.decide(made.id)
    await workshop.warmer.give_up_run(made.id, BrokerUnavailable("down"))
    assert {(one.outcome, one.code) for one in workshop.outcomes(made.id)} == {("failed", "broker_unavailable")}
    assert workshop.runs.run(made.id).status == "Done"


async def test_an_unknown_id_fails_the_run_with_its_reason(workshop):
    made = workshop.runs.make(workshop.order("ids", charts=["999"]))
    assert await workshop.warmer.decide(made.id) == []
    assert report.report(workshop.world.sessions, made.id)["reason"] == "There is no chart with id 999."


async def test_when_the_store_is_down_the_outcome_is_tried_again(workshop, monkeypatch):
    async def down(*_):
        raise StoreUnavailable("down")

    made = workshop.runs.make(workshop.order("ids", charts=[workshop.world.id("pay")]))
    (number, *_) = await workshop.warmer.decide(made.id)
    monkeypatch.setattr(type(workshop.store), "add", down)
    with pytest.raises(StoreUnavailable):
        await workshop.warmer.one(made.id, number, wait_s=1)
    waiting = workshop.runs.outcome(made.id, number)
    assert (waiting.outcome, waiting.code, waiting.reason) == ("", "store_unavailable", "down")
    await workshop.warmer.give_up(made.id, number, StoreUnavailable("down"))
    ended = workshop.runs.outcome(made.id, number)
    assert (ended.outcome, ended.code, ended.reason) == ("failed", "store_unavailable", "down")


@pytest.fixture
def lasting(workshop):
    """A run of one chart that something kept from being warmed, until its budget was used up."""

    def make(code, reason):
        with workshop.world.sessions.begin() as session:
            values = {"started_at": datetime.now(UTC) - timedelta(hours=1)}
            run = workshop.runs.make(workshop.order("ids", charts=[workshop.world.id("pay")]))
            workshop.warmer._plan(run)
            session.query(WarmupRun).filter_by(id=run.id).update(values)
        workshop.runs.note(run.id, 1, code, reason)
        return run.id

    return make


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(
    ("code", "reason", "outcome", "told"),
    [
        ("store_unavailable", "down", "failed", ("store_unavailable", "down (until the run's budget was used up)")),
        ("busy", "2 queries", "skipped", ("deadline_exceeded", "2 queries (until the run's budget was used up)")),
        ("", "", "skipped", ("deadline_exceeded", None)),
    ],
)
async def test_what_lasts_until_the_budget_is_used_up_is_the_reason(
    workshop, lasting, swept, code, reason, outcome, told
):
    run_id = lasting(code, reason)
    if swept:
        assert workshop.runs.sweep(datetime.now(UTC), timedelta()) == 1
    else:
        await workshop.warmer.one(run_id, 1, wait_s=1)
    found = workshop.runs.outcome(run_id, 1)
    assert (found.outcome, found.code) == (outcome, told[0])
    assert told[1] in (None, found.reason)
    assert workshop.runs.run(run_id).finished_at is not None


async def test_a_run_of_which_nothing_was_decided_in_time_has_failed(workshop):
    made = workshop.runs.make(workshop.order("dummy"))
    assert workshop.runs.sweep(datetime.now(UTC) + timedelta(hours=1), timedelta()) == 1
    ended = workshop.runs.run(made.id)
    assert (ended.status, ended.code) == ("Failed", "deadline_exceeded")
    assert "does a renderer run?" in ended.reason


async def test_a_catalog_that_does_not_answer_fails_with_the_reason_and_the_others_go_on(workshop):
    nobody = f"http://127.0.0.1:{free_port()}"
    values = {"superset_url": nobody, "superset_username": "vitrine", "superset_secret_key": SECRET}
    away = SupersetCatalog(Settings.model_validate({"secret_key": SECRET, "superset_user_id": 1, **values}))
    workshop.catalogs["superset"] = away
    boards = [workshop.world.id("overview")]
    for strategy, parameters in (
        ("dummy", {}),
        ("top_n_dashboards", {}),
        ("native_filter_options", {"dashboard_ids": boards}),
    ):
        workshop.see("emma", "overview", datetime.now(UTC) - timedelta(hours=1))
        outcomes = await workshop.run(workshop.order(strategy, ("data", "pictures"), **parameters))
        (failed,) = [one for one in outcomes if one.catalog == "superset"]
        assert (failed.outcome, failed.code, failed.target_kind) == ("failed", "catalog_unavailable", "catalog")
        assert "Superset" in failed.reason
        assert {one.outcome for one in outcomes if one.catalog == "native"} <= {"warmed", "already_warm"}
        assert len(outcomes) > 5
    away.close()
