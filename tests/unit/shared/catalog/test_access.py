import pytest

from shared.errors import ExecutorNotFound, NotFound
from shared.identity import OPERATOR, Principal
from shared.targets import TargetKind, ViewState

CHARTS, DASHBOARDS = TargetKind.CHART, TargetKind.DASHBOARD


def test_the_admin_sees_everything(world):
    assert world.titles("ada", CHARTS) == {"Sales by region", "All sales", "Pay"}
    assert world.titles("ada", DASHBOARDS) == {"Overview", "Draft", "Mixed", "Empty"}


def test_a_role_opens_the_charts_whose_datasets_it_grants(world):
    assert world.titles("arun", CHARTS) == {"Sales by region", "All sales"}


def test_an_owner_sees_a_chart_without_a_grant(world):
    assert world.titles("olga", CHARTS) == {"Pay"}


def test_a_published_dashboard_needs_grants_for_all_its_datasets(world):
    assert world.titles("arun", DASHBOARDS) == {"Overview", "Empty"}


def test_a_draft_is_for_its_owner(world):
    assert world.titles("emma", DASHBOARDS) == {"Overview", "Draft", "Empty"}


def test_an_owner_sees_a_dashboard_without_grants(world):
    assert world.titles("olga", DASHBOARDS) == {"Mixed", "Empty"}


def test_an_empty_published_dashboard_is_for_everybody_who_is_signed_in(world):
    assert world.catalog.info(world.principal("olga"), world.target("empty")).title == "Empty"


def test_an_inactive_user_is_no_principal(world):
    with pytest.raises(NotFound):
        world.catalog.principal("ines")


def test_nobody_sees_nothing(world):
    for principal in (Principal(""), Principal("", frozenset({"Analyst"}))):
        assert world.catalog.list(principal, CHARTS) == (0, [])
        assert world.catalog.list(principal, DASHBOARDS) == (0, [])


def test_the_operator_sees_everything(world):
    assert [world.catalog.list(OPERATOR, kind)[0] for kind in (CHARTS, DASHBOARDS)] == [3, 4]


def test_an_inactive_executor_is_refused(world):
    for executor in ("ines", "nobody", ""):
        with pytest.raises(ExecutorNotFound):
            world.catalog.facts(world.target("overview"), executor)


def test_what_may_not_be_seen_reads_like_what_does_not_exist(world):
    emma, target = world.principal("emma"), world.target("pay")
    missing = type(target)("native", CHARTS, "999999")
    texts = set()
    for one in (target, missing):
        for ask in (
            lambda one=one: world.catalog.info(emma, one),
            lambda one=one: world.catalog.facts(one, "emma"),
            lambda one=one: world.catalog.page(one, "emma", ViewState(), nonce="n"),
            lambda one=one: world.catalog.chart_page(emma, one.id),
            lambda one=one: world.catalog.chart_query(emma, one.id),
        ):
            with pytest.raises(NotFound) as refused:
                ask()
            texts.add(refused.value.message)
    assert texts == {"There is no such chart."}


def test_a_dashboard_does_not_open_a_chart_that_its_viewer_may_not_see(world):
    with pytest.raises(NotFound):
        world.rows("olga", "by-region", "mixed")
    assert world.rows("olga", "pay", "mixed") == [{"total": 1000}]


def test_a_chart_is_not_found_through_a_dashboard_without_it(world):
    with pytest.raises(NotFound):
        world.rows("ada", "pay", "overview")


def test_viewers_are_those_who_may_see(world):
    assert world.catalog.viewers(world.target("overview")) == ["ada", "arun", "emma"]
    assert world.catalog.viewers(world.target("draft")) == ["ada", "emma"]
    assert world.catalog.viewers(world.target("mixed")) == ["ada", "olga"]
    assert world.catalog.viewers(world.target("pay")) == ["ada", "olga"]
    assert world.catalog.viewers(world.target("empty")) == ["ada", "arun", "emma", "olga"]


@pytest.mark.parametrize("kind", list(TargetKind))
def test_viewers_and_info_agree(world, kind):
    _, everything = world.catalog.list(world.principal("ada"), kind)
    for info in everything:
        for username in ("ada", "emma", "arun", "olga"):
            listed = info.title in world.titles(username, kind)
            assert (username in world.catalog.viewers(info.target)) == listed
