import pytest

from shared.metadata.models import Chart
from tests.samples.catalog import CATALOG, make_world

LOOKUP = 'clause: "region IN (SELECT name FROM payroll)"'


def key(world, username, chart="all-sales", dashboard=None, mask=None):
    board = world.id(dashboard) if dashboard else None
    return world.catalog.chart_query(world.principal(username), world.id(chart), board, mask).key


def bump(world, dataset):
    from shared.metadata.models import Dataset

    with world.sessions.begin() as session:
        session.query(Dataset).filter_by(name=dataset).one().data_version += 1


def test_people_under_the_same_rules_share_a_key_and_others_do_not(world):
    keys = {name: key(world, name) for name in ("ada", "emma", "arun")}
    assert len(set(keys.values())) == 3
    assert key(world, "emma") == keys["emma"]


def test_filters_and_dashboards_defaults_are_in_the_key(world):
    mask = {"region": {"filterState": {"value": ["Asia"]}}}
    assert (
        len(
            {
                key(world, "ada"),
                key(world, "ada", dashboard="overview"),
                key(world, "ada", "all-sales", "overview", mask),
            }
        )
        == 3
    )


def test_a_new_version_of_the_data_is_another_key_for_what_reads_it_only(world):
    before = [key(world, "ada"), key(world, "ada", "pay")]
    bump(world, "sales")
    after = [key(world, "ada"), key(world, "ada", "pay")]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_what_a_rule_looks_up_in_another_table_counts_as_read(tmp_path):
    world = make_world(tmp_path, text=CATALOG.replace("clause: \"region = 'Europe'\"", LOOKUP))
    before = key(world, "emma"), key(world, "arun")
    bump(world, "payroll")
    assert key(world, "emma") != before[0]
    assert key(world, "arun") == before[1]
    world.close()


@pytest.mark.parametrize(
    ("chart", "dataset", "database", "expected"),
    [("", "", "", 86_400), ("", "", "300", 300), ("", "200", "300", 200), ("100", "200", "300", 100), ("0", "", "", 0)],
)
def test_the_most_specific_ttl_wins(tmp_path, chart, dataset, database, expected):
    text = CATALOG
    for said, place in (
        (chart, "  - slug: all-sales\n"),
        (database, "    url: sqlite:///demo.sqlite\n"),
    ):
        text = text.replace(place, place + (f"    data_ttl_s: {said}\n" if said else ""))
    if dataset:
        text = text.replace("title: Sales, roles", f"title: Sales, data_ttl_s: {dataset}, roles")
    world = make_world(tmp_path, text=text)
    query = world.catalog.chart_query(world.principal("ada"), world.id("all-sales"))
    assert query.ttl_s == expected
    world.close()


def test_of_two_charts_with_one_query_each_keeps_its_own_ttl(world):
    """Else the one that may be a minute old would be served rows that only the other one takes for fresh all day."""
    before = key(world, "ada")
    with world.sessions.begin() as session:
        session.query(Chart).filter_by(slug="all-sales").one().data_ttl_s = 60
    assert key(world, "ada") != before


def test_a_password_of_a_database_is_never_shown(world):
    assert "sqlite" not in repr(world.catalog.chart_query(world.principal("ada"), world.id("pay")))
