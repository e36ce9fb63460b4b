import sqlite3

import pytest

from shared.catalog.lineage import ANYTHING, data_changed, dependents, view_reads
from shared.catalog.sql import Dialect
from shared.errors import InvalidInput, NotFound
from tests.samples.catalog import CATALOG, make_world

VIEWS = {
    ("public", "a"): "SELECT * FROM orders JOIN s.lines USING (id)",
    ("public", "b"): "WITH orders AS (SELECT 1) SELECT * FROM a, orders",
    ("public", "c"): 'SELECT 1 FROM "Odd"',
    ("public", "broken"): "SELECT FROM WHERE (",
}
LOOKUP = 'clause: "region IN (SELECT name FROM payroll)"'


def change(world, *tables, **options):
    with world.sessions.begin() as session:
        return data_changed(session, options.pop("database", "demo"), tables, world.catalog.views("demo"), **options)


def slugs(world, affected):
    ids = {("chart", world.id(slug)): slug for slug in ("by-region", "all-sales", "pay")}
    ids |= {("dashboard", world.id(slug)): slug for slug in ("overview", "draft", "mixed", "empty")}
    found = [("chart", number) for number in affected.charts] + [
        ("dashboard", number) for number in affected.dashboards
    ]
    return {ids[one] for one in found}


def test_what_a_view_reads():
    reads = view_reads(VIEWS, Dialect.POSTGRESQL)
    assert reads[("public", "a")] == {("public", "orders"), ("s", "lines")}
    assert reads[("public", "b")] == {("public", "a")}
    assert reads[("public", "c")] == {("public", "Odd")}
    assert reads[("public", "broken")] == {ANYTHING}


def test_a_view_reads_the_table_behind_a_common_table_expression_of_the_same_name():
    once = {("public", "v"): "WITH orders AS (SELECT * FROM orders WHERE paid) SELECT * FROM orders"}
    assert view_reads(once, Dialect.POSTGRESQL)[("public", "v")] == {("public", "orders")}
    tree = {("public", "v"): "WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT n FROM t, parts) SELECT n FROM t"}
    assert view_reads(tree, Dialect.POSTGRESQL)[("public", "v")] == {("public", "parts")}


def test_a_view_of_another_schema_reads_public_where_it_names_no_schema():
    """As PostgreSQL tells the SQL of a view to a reader whose search_path is public."""
    reads = view_reads({("mart", "v"): "SELECT id FROM orders JOIN mart.lines USING (id)"}, Dialect.POSTGRESQL)
    assert reads[("mart", "v")] == {("public", "orders"), ("mart", "lines")}


def test_views_over_views_depend_too_and_what_is_not_understood_always():
    reads = view_reads(VIEWS, Dialect.POSTGRESQL)
    names = {name for _, name in dependents({("s", "lines")}, reads)}
    assert names == {"lines", "a", "b", "broken"}


def test_exactly_what_reads_the_table_gets_a_new_version(world):
    affected = change(world, "sales")
    assert affected.datasets == ("sales",)
    assert slugs(world, affected) == {"by-region", "all-sales", "overview", "draft", "mixed"}
    assert slugs(world, change(world, "main.PAYROLL")) == {"pay", "mixed"}


def test_a_dataset_over_a_view_depends_on_the_tables_below_it(world):
    text = CATALOG.replace("table: payroll}", "table: pay_view}").replace("FROM payroll", "FROM pay_view")
    demo = sqlite3.connect(world.settings.state_dir / "demo.sqlite")
    demo.execute("CREATE VIEW pay_view AS SELECT name, pay FROM payroll")
    demo.close()
    world.load(text)
    assert slugs(world, change(world, "payroll")) == {"pay", "mixed"}


def test_a_rule_that_looks_something_up_depends_on_it(tmp_path):
    world = make_world(tmp_path, text=CATALOG.replace("clause: \"region = 'Europe'\"", LOOKUP))
    assert "all-sales" in slugs(world, change(world, "payroll"))
    world.close()


def test_an_unknown_table_or_database_is_named_with_those_that_there_are(world):
    with pytest.raises(InvalidInput, match=r"'nope'; known: main\.payroll, main\.sales"):
        change(world, "sales", "nope")
    with pytest.raises(NotFound, match="known: demo"):
        change(world, "sales", database="prod")
    with pytest.raises(InvalidInput, match="no table name"):
        change(world, "a; drop table b")


def test_unknown_tables_can_be_passed_over(world):
    affected = change(world, "nope", "payroll", ignore_unknown=True)
    assert (affected.unknown, affected.datasets) == (("nope",), ("payroll",))
