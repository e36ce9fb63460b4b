"""Names of columns are looked up where they will be: in the tables."""

import sqlite3

import duckdb
import pytest

from shared.catalog.yaml import read_catalog
from tests.samples.catalog import CATALOG, write_files


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        (
            "SELECT region, count",
            "SELECT regoin, count",
            "charts[0].sql",
            "no such column: regoin; did you mean region?",
        ),
        ("GROUP BY region", "GROUP BY s.region", "charts[0].sql", "no such column: s.region"),
        ("FROM sales GROUP", "FROM sales WHERE place = 1 GROUP", "charts[0].sql", "Columns are: amount, day, product"),
        ("SELECT region, count", 'SELECT "regoin" AS region, count', "charts[0].sql", "take for a text"),
        ("SELECT region, count", "SELECT 1 AS n, count", "charts[0].sql", "several columns named 'n'"),
        ("clause: \"region = 'Europe'\"", "clause: \"regoin = 'Europe'\"", "row_level_rules[0].clause", "mean region?"),
        ("dataset: sales, column: region", "dataset: sales, column: regoin", "dashboards[0].filters[0].column", "mean"),
        ("field: amount", "field: amuont", "charts[1].spec.columns[1].field", "'amuont' is no column of the query"),
        ("spec: {value: total", "spec: {value: totel", "charts[2].spec.value", "it has: total"),
        ("{value: total", "{trend: {x: day, y: total}, value: total", "charts[2].spec.trend.x", "'day' is no column"),
    ],
)
def test_a_name_that_is_no_column_is_a_problem_with_its_place(check, old, new, field, message):
    (problem,) = check(old, new)
    line, found, said = problem.split(": ", 2)
    assert found == field
    assert message in said
    assert int(line) > 1


@pytest.mark.parametrize(
    ("table", "columns", "why"),
    [("sqlite_pay", "name: text, pay: integer", "reserved"), ("pay", "name: text, Name: text", "duplicate column")],
)
def test_a_table_that_sqlite_cannot_have_is_a_problem_with_its_place(check, table, columns, why):
    declared = "{name: payroll, csv: payroll.csv, columns: {name: text, pay: integer}}"
    edited = f"{{name: {table}, csv: payroll.csv, columns: {{{columns}}}}}"
    problems = check("table: payroll}", f"table: {table}}}", text=CATALOG.replace(declared, edited))
    assert any("datasets[1].table: SQLite can have no such table" in one and why in one for one in problems)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT amount * 2 AS twice FROM sales WHERE twice > 1 ORDER BY twice",
        'SELECT "day", s."amount" FROM sales AS s ORDER BY "amount"',
        'WITH w AS (SELECT day AS "when" FROM sales) SELECT "when" FROM w GROUP BY "when"',
        "SELECT day FROM sales WHERE rowid > 1 AND EXISTS (SELECT 1 FROM payroll WHERE name = region)",
        "SELECT day FROM sales UNION ALL SELECT name FROM payroll ORDER BY 1 LIMIT 3",
        "SELECT upper(REGION) AS r, row_number() OVER (PARTITION BY Region ORDER BY day) AS n FROM SALES",
    ],
)
def test_whatever_the_database_understands_is_no_problem(check, sql):
    assert check("SELECT region, count(*) AS n FROM sales GROUP BY region ORDER BY region", sql) == []


@pytest.fixture
def bare(tmp_path):
    """The sample's catalog whose tables are not declared: they are where they are."""
    text = CATALOG.replace("    tables:\n", "")
    write_files(tmp_path, "\n".join(line for line in text.splitlines() if "csv: " not in line))
    return tmp_path


def test_tables_that_are_not_declared_are_looked_up_in_the_database(bare):
    (bare / "state").mkdir()
    with sqlite3.connect(bare / "state" / "demo.sqlite") as connection:
        connection.execute("CREATE TABLE kept (day, region, amount)")
        connection.execute("CREATE VIEW sales AS SELECT day, region AS place, amount FROM kept")
    connection.close()
    catalog, problems = read_catalog(bare / "catalog.yaml", bare / "state")
    assert [problem.field for problem in problems] == [
        "datasets[1].table",  # no payroll
        "row_level_rules[0].clause",
        "row_level_rules[1].clause",
        "charts[0].sql",
        "dashboards[0].filters[0].column",
    ]
    assert catalog.unchecked == []


def test_what_cannot_be_looked_up_is_told_and_is_no_problem(bare):
    catalog, problems = read_catalog(bare / "catalog.yaml", bare / "state")
    assert problems == []
    assert [line.split(":")[0] for line in catalog.unchecked] == [
        "columns of the dataset 'sales'",
        "columns of the dataset 'payroll'",
    ]


DUCKDB = CATALOG.replace("sqlite:///demo.sqlite", "duckdb:///demo.duckdb")


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("SELECT region, count", "SELECT regoin, count", "charts[0].sql", '"regoin" not found'),
        ("SELECT region, count", "SELECT sum(region) AS region, count", "charts[0].sql", "sum(VARCHAR)"),
        ("clause: \"region = 'Europe'\"", "clause: \"regoin = 'Europe'\"", "row_level_rules[0].clause", "mean region?"),
        ("dataset: sales, column: region", "dataset: sales, column: regoin", "dashboards[0].filters[0].column", "mean"),
        ("name: text, pay: integer", "name: text, Name: text", "datasets[1].table", "DuckDB can have no such table"),
    ],
)
def test_a_duckdb_database_that_is_filled_is_tried_before_there_is_one(check, old, new, field, message):
    problems = [problem.split(": ", 2) for problem in check(old, new, text=DUCKDB)]
    assert [message in said for _, found, said in problems if found == field] == [True]
    assert all(int(line) > 1 for line, _, _ in problems)


def test_other_tables_of_a_duckdb_database_are_looked_up_in_its_file(tmp_path):
    declared = "      - {name: payroll, csv: payroll.csv, columns: {name: text, pay: integer}}\n"
    path = write_files(tmp_path, DUCKDB.replace(declared, ""))
    catalog, problems = read_catalog(path, tmp_path)
    assert problems == []
    assert [line.split(":")[0] for line in catalog.unchecked] == ["columns of the dataset 'payroll'"]
    with duckdb.connect(tmp_path / "demo.duckdb") as connection:
        connection.execute("CREATE TABLE payroll (wages INTEGER)")
    catalog, problems = read_catalog(path, tmp_path)
    assert [problem.field for problem in problems] == ["charts[2].sql"]
    assert catalog.unchecked == []
