"""The guard against a real PostgreSQL, over a connection that may do anything: only the guard stands in the way."""

from contextlib import suppress

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from shared.catalog.lineage import dependents
from shared.catalog.sql import Dialect, parse_condition
from shared.errors import QueryRefused
from shared.sqllab.access import Access
from shared.sqllab.contents import read_contents
from shared.sqllab.guard import check_script
from tests.samples.sql import EVIL, QUERY

SCHEMA = """
CREATE TABLE sales (id integer, region text) PARTITION BY LIST (region);
CREATE TABLE sales_europe PARTITION OF sales FOR VALUES IN ('Europe');
CREATE TABLE sales_rest PARTITION OF sales DEFAULT;
INSERT INTO sales VALUES (1, 'Europe'), (4, 'hidden');
CREATE TABLE weather (id integer, region text);
INSERT INTO weather VALUES (1, 'Europe');
CREATE SCHEMA mart;
CREATE VIEW mart.everything AS WITH sales AS (SELECT * FROM public.sales) SELECT * FROM sales;
CREATE MATERIALIZED VIEW mart.counts AS SELECT region, count(*) FROM mart.everything GROUP BY 1;
CREATE FUNCTION peek() RETURNS SETOF sales LANGUAGE sql AS 'SELECT * FROM sales';
CREATE VIEW peeks AS SELECT * FROM peek();
CREATE TABLE mart.stock (region text);
CREATE VIEW stocked AS SELECT * FROM mart.stock;
CREATE VIEW mart.days AS SELECT id FROM weather;
"""
RULED, STOCK = ("public", "sales"), ("mart", "stock")


@pytest.fixture
def connection(postgresql):
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


@pytest.fixture
def access(connection):
    """Of the sales, only those of Europe."""
    connection.execute("SET search_path = mart")  # how PostgreSQL tells the SQL of a view depends on it
    contents = read_contents(Dialect.POSTGRESQL, lambda sql: connection.execute(sql).fetchall())
    connection.execute("RESET search_path")
    rule = parse_condition("region = 'Europe'", Dialect.POSTGRESQL, "sales", ["sales"])
    tainted = dependents([RULED, STOCK], contents.reads) - {RULED, STOCK}
    return Access(
        Dialect.POSTGRESQL, True, rules={RULED: (rule,), STOCK: (rule,)}, tainted=frozenset(tainted), contents=contents
    )


def run(connection, access, sql):
    found: list[object] = []
    for statement in check_script(sql, Dialect.POSTGRESQL, access, limit=100, allow_dml=True).statements:
        cursor = connection.execute(statement.sql)
        found += cursor.fetchall() if cursor.description else []
    return found


@pytest.mark.parametrize(
    "table",
    ["sales_rest", "sales_europe", "mart.everything", "mart.counts", "peeks", "public.sales_rest", "stocked"],
)
def test_partitions_and_views_of_a_table_under_a_rule_are_no_way_round(connection, access, table):
    for sql in (f"SELECT * FROM {table}", f"CREATE TABLE x AS SELECT * FROM {table}", f"DELETE FROM {table}"):
        with pytest.raises(QueryRefused, match="hidden from you"):
            run(connection, access, sql)
    assert run(connection, access, "SELECT * FROM mart.days") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sales",
        "SELECT sales FROM sales",
        "SELECT region FROM sales WHERE CAST(region AS integer) = 1",
        "SELECT region FROM sales WHERE 1 / (CASE WHEN region = 'hidden' THEN 0 ELSE 1 END) = 1",
        "CREATE TABLE mine AS SELECT * FROM sales; SELECT * FROM mine",
        "INSERT INTO weather SELECT * FROM sales RETURNING *",
        "UPDATE weather SET region = s.region FROM sales s WHERE s.id >= weather.id RETURNING *",
        "UPDATE weather SET region = (SELECT max(region) FROM sales) RETURNING *",
        "DELETE FROM weather USING sales RETURNING sales.*",
        "INSERT INTO weather VALUES (9, 'x') RETURNING (SELECT string_agg(region, ',') FROM sales)",
        "SELECT e.* FROM sales s, LATERAL (SELECT to_jsonb(array_agg(t)) AS e FROM sales t) e",
        "SELECT * FROM generate_series(1, 3) g LEFT JOIN sales ON true",
    ],
)
def test_no_row_and_no_error_tells_what_a_rule_hides(connection, access, sql):
    try:
        shown = str(run(connection, access, sql))
    except psycopg.Error as error:
        shown = str(error)
    assert "Europe" in shown
    assert "hidden" not in shown


@given(sql=QUERY, tail=EVIL)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_that_passes_shows_what_a_rule_hides(connection, access, sql, tail):
    for text in (sql, f"{sql} {tail}"):
        with suppress(QueryRefused, psycopg.Error):  # a query may be wrong; it may not show too much
            assert "hidden" not in str(run(connection, access, text))
