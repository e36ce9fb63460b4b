import pytest

from tests.samples.catalog import CATALOG, PAYROLL_CSV, SALES_CSV


def digests(world, *slugs):
    return [world.catalog.facts(world.target(slug), "ada").digest for slug in slugs]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SELECT region, count(*) AS n", "SELECT region, sum(amount) AS n"),
        ("title: Sales by region", "title: Sales per region"),
        ("mark: bar", "mark: line"),
    ],
)
def test_an_edited_chart_changes_its_digest_and_that_of_its_dashboards(world, old, new):
    slugs = ("by-region", "overview", "draft", "mixed")
    before, others = digests(world, *slugs), digests(world, "all-sales", "pay", "empty")
    world.load(CATALOG.replace(old, new))
    assert all(a != b for a, b in zip(before, digests(world, *slugs), strict=True))
    assert digests(world, "all-sales", "pay", "empty") == others


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Overview", "title: The overview"),
        ("Where we sell", "Where they buy"),
        ("color: red", "color: blue"),
        ("width: 6, height: 4", "width: 6, height: 5"),
        ('"# Hi"', '"# Hello"'),
        ("[[{chart: by-region, width: 6", "[[{chart: all-sales, width: 6"),
        ("title: Region,", "title: Regions,"),
        ('"2024-01-05"]', '"2024-01-04"]'),
    ],
)
def test_an_edited_dashboard_changes_its_digest_only(world, old, new):
    before, others = digests(world, "overview"), digests(world, "by-region", "draft", "empty")
    world.load(CATALOG.replace(old, new))
    assert digests(world, "overview") != before
    assert digests(world, "by-region", "draft", "empty") == others


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tags: [sales, weekly]", "tags: [other]"),
        ("owners: [emma, ada]", "owners: [olga]"),
        ("changed_by: emma", "changed_by: olga"),
        ("title: Sales, roles: [Analyst]", "title: Selling, roles: [Analyst, EMEA]"),
        ("region = 'Europe'", "region = 'Africa'"),
        ("name: Ada Ruiz", "name: A. Ruiz"),
        ("published: true\n    css", "published: false\n    css"),
    ],
)
def test_what_no_picture_shows_changes_no_digest(world, old, new):
    slugs = ("by-region", "all-sales", "pay", "overview", "draft", "mixed", "empty")
    before = digests(world, *slugs)
    assert world.load(CATALOG.replace(old, new)).changed
    assert digests(world, *slugs) == before


def test_new_data_change_the_digests_of_their_dataset(world):
    before, others = digests(world, "by-region", "overview"), digests(world, "pay", "empty")
    (world.folder / "sales.csv").write_text(SALES_CSV + "2024-01-06,Asia,tea,1\n")
    world.load()
    assert all(a != b for a, b in zip(before, digests(world, "by-region", "overview"), strict=True))
    assert digests(world, "pay", "empty") == others


def test_the_same_data_written_again_change_nothing(world):
    before = digests(world, "by-region", "pay", "overview")
    (world.folder / "payroll.csv").write_text(PAYROLL_CSV)
    world.load()
    assert digests(world, "by-region", "pay", "overview") == before


def test_a_changed_rule_changes_the_access_of_those_it_binds(world):
    before = {name: world.catalog.facts(world.target("overview"), name).access for name in ("ada", "emma", "arun")}
    world.load(CATALOG.replace("region = 'Europe'", "region = 'Africa'"))
    after = {name: world.catalog.facts(world.target("overview"), name).access for name in ("ada", "emma", "arun")}
    assert before["emma"] != after["emma"]
    assert (before["ada"], before["arun"]) == (after["ada"], after["arun"])
