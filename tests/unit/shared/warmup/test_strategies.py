from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidInput
from shared.metadata.models import Dashboard, ViewLog
from shared.metadata.views import Views
from shared.targets import TargetKind
from shared.warmup.choices import Sources
from shared.warmup.strategies import Changed, IdsForm, make

NOW = datetime.now(UTC)
MASK = {"dataMask": {"region": {"filterState": {"value": ["Asia"]}}}}


@pytest.fixture
def choose(workshop):
    """`choose(name, **parameters)`: (slug's title, choice) of each."""

    def choices(name, **parameters):
        sources = Sources(workshop.catalogs, Views(workshop.world.sessions), NOW)
        return list(make(name, parameters).choose(sources))

    return choices


def targets(choices, world, kind=TargetKind.DASHBOARD):
    slugs = {
        world.target(slug): slug for slug in ("overview", "draft", "mixed", "empty", "by-region", "all-sales", "pay")
    }
    return {slugs[choice.target] for choice in choices if choice.target.kind is kind}


def test_dummy_is_all_that_is_published(choose, workshop):
    chosen = choose("dummy")
    assert targets(chosen, workshop.world) == {"overview", "mixed", "empty"}
    assert targets(chosen, workshop.world, TargetKind.CHART) == {"by-region", "all-sales", "pay"}


def test_top_n_counts_the_views_since_then(choose, workshop):
    workshop.see("emma", "overview", NOW - timedelta(hours=1), times=2)
    workshop.see("emma", "mixed", NOW - timedelta(hours=1), times=3)
    workshop.see("emma", "empty", NOW - timedelta(days=9), times=9)
    assert targets(choose("top_n_dashboards", top_n=1), workshop.world) == {"mixed"}
    assert targets(choose("top_n_dashboards"), workshop.world) == {"mixed", "overview"}


def test_views_here_and_at_the_origin_add_up(choose, workshop, monkeypatch):
    workshop.see("emma", "overview", NOW - timedelta(hours=1), times=3)
    there = [(workshop.world.target("overview"), 1), (workshop.world.target("mixed"), 2)]
    monkeypatch.setattr(workshop.world.catalog, "popular", lambda since: there, raising=False)
    assert targets(choose("top_n_dashboards", top_n=1), workshop.world) == {"overview"}


def test_a_deleted_dashboard_takes_nobody_s_place(choose, workshop):
    workshop.see("emma", "overview", NOW - timedelta(hours=1))
    with workshop.world.sessions.begin() as session:
        for number in range(5):
            gone = {"target_kind": "dashboard", "target_id": "4711", "source": "page"}
            session.add(ViewLog(username="emma", at=NOW - timedelta(minutes=number), **gone))
    chosen = [choice.target.id for choice in choose("top_n_dashboards", top_n=1)]
    assert chosen == ["4711", workshop.world.id("overview")]  # the first to be told of


def test_a_tag_that_no_dashboard_has_is_named_with_those_that_there_are(workshop):
    sources = Sources(workshop.catalogs, Views(workshop.world.sessions), NOW)
    make("dashboard_tags", {"tags": "weekly"}).check(sources)
    with pytest.raises(InvalidInput, match="the tag 'weekyl'; known: sales, weekly") as refused:
        make("dashboard_tags", {"tags": "weekly,weekyl"}).check(sources)
    assert refused.value.field == "parameters.tags"


def test_tags_choose_published_dashboards(choose, workshop):
    assert targets(choose("dashboard_tags", tags="weekly,none"), workshop.world) == {"overview"}


def test_recently_changed_looks_at_the_edit(choose, workshop):
    with workshop.world.sessions.begin() as session:
        session.query(Dashboard).filter(Dashboard.slug != "mixed").update({"changed_on": NOW - timedelta(days=3)})
    assert targets(choose("recently_changed", since="1d"), workshop.world) == {"mixed"}


def test_what_an_event_affects_and_nobody_may_see_is_left_out(workshop):
    sources = Sources(workshop.catalogs, Views(workshop.world.sessions), NOW)
    strategy = Changed(IdsForm(dashboards=[workshop.world.id("overview"), "4711"], charts=["4711"]))
    assert targets(strategy.choose(sources), workshop.world) == {"overview"}


def test_ids_choose_what_they_name_and_an_unknown_one_is_named(choose, workshop):
    number = workshop.world.id("draft")
    assert targets(choose("ids", dashboards=[number]), workshop.world) == {"draft"}
    with pytest.raises(InvalidInput, match="no chart with id 999"):
        choose("ids", charts=["999"])
    with pytest.raises(InvalidInput, match="known: native"):
        choose("ids", charts=["1"], catalog="superset")


def test_filter_options_warm_nothing_else(choose, workshop):
    (choice,) = choose("native_filter_options", dashboard_ids=[workshop.world.id("overview")])
    assert choice.options_only


def test_usual_visitors_come_back_with_their_filters_and_for_their_group(choose, workshop):
    workshop.see("arun", "overview", NOW - timedelta(days=7) + timedelta(minutes=5), MASK)
    workshop.see("emma", "mixed", NOW - timedelta(days=6), {}, times=3)
    workshop.see("gone", "overview", NOW - timedelta(days=7) + timedelta(minutes=5), {}, times=9)
    choice = choose("usual_visitors", top_n=1)[0]
    assert targets([choice], workshop.world) == {"overview"}
    assert choice.usernames == {"arun"}
    assert choice.view_state.mask == MASK["dataMask"]
