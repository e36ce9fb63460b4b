import time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from shared.catalog.filters import conditions
from shared.catalog.lineage import view_reads
from shared.catalog.readers import open_reader
from shared.catalog.sql import Conditions, Dialect, parse_condition, parse_query
from shared.catalog.yaml import read_catalog
from shared.errors import DatabaseUnavailable, QueryFailed, QueryRefused
from shared.targets import TargetKind
from tests.samples.catalog import CATALOG, make_world

TABLES = ["sales", "weather"]
SCHEMA = """
CREATE TABLE sales (day date, region text, product text, amount numeric(10, 2), taken timestamptz DEFAULT now());
INSERT INTO sales VALUES ('2024-01-01', 'Europe', 'tea', 10), ('2024-01-02', 'Europe', 'coffee', 20.5),
    ('2024-01-03', 'Asia', 'tea', 30), ('2024-01-04', 'Asia', 'coffee', NULL), ('2024-01-05', 'Africa', 'it''s', 50);
CREATE TABLE payroll (name text, pay integer);
INSERT INTO payroll VALUES ('ada', 1000);
CREATE TABLE weather (day date);
CREATE TABLE secret (x text);
CREATE SEQUENCE counter;
INSERT INTO secret VALUES ('hidden');
"""


@pytest.fixture
def data(postgresql):
    with psycopg.connect(postgresql.url) as connection:
        connection.execute(SCHEMA)
    return postgresql.url


@pytest.fixture
def reader(data):
    made = open_reader(data, Path("/nowhere"), timeout_s=20)
    yield made
    made.close()


@pytest.fixture
def world(data, tmp_path):
    """Metadata and data both in PostgreSQL."""
    start = CATALOG.index("    url: sqlite")
    end = CATALOG.index("datasets:")
    made = make_world(tmp_path, text=f"{CATALOG[:start]}    url: {data}\n{CATALOG[end:]}", metadata_url=f"{data}_meta")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _metadata_database(postgresql):
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{postgresql.name}_meta"')
    yield
    with psycopg.connect(postgresql.server.url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{postgresql.name}_meta" WITH (FORCE)')


def run(reader, sql, rules=(), filters=()):
    query = parse_query(sql, Dialect.POSTGRESQL, TABLES)
    parsed = tuple(parse_condition(rule, Dialect.POSTGRESQL, "sales", TABLES) for rule in rules)
    return reader.read(query.sql({"sales": Conditions(parsed, tuple(filters))}), sorted(query.tables)).data


def test_two_people_under_different_rules_get_different_access_and_rows(world):
    assert world.rows("emma", "by-region") == [{"region": "Europe", "n": 2}]
    assert world.rows("arun", "by-region") == [{"region": "Asia", "n": 2}]
    assert len(world.rows("ada", "by-region")) == 3
    facts = [world.catalog.facts(world.target("overview"), name) for name in ("ada", "emma", "arun")]
    assert len({fact.access for fact in facts}) == 3
    assert len({fact.digest for fact in facts}) == 1


def test_access_is_decided_as_on_sqlite(world):
    assert world.titles("arun", TargetKind.CHART) == {"Sales by region", "All sales"}
    assert world.titles("olga", TargetKind.DASHBOARD) == {"Mixed", "Empty"}
    assert world.titles("emma", TargetKind.DASHBOARD) == {"Overview", "Draft", "Empty"}
    assert world.catalog.viewers(world.target("mixed")) == ["ada", "olga"]


def test_filters_and_their_options_follow_rules_and_types(world):
    def products(**values):
        mask = {name: {"filterState": {"value": value}} for name, value in values.items()}
        return [row["product"] for row in world.rows("ada", "all-sales", "overview", mask)]

    assert products(days=["2024-01-02", "2024-01-03"]) == ["coffee", "tea"]
    assert products(amount=[20, 30], region=["Europe", "Asia"]) == ["coffee", "tea"]
    offers = world.offers("emma", "overview")
    assert offers[0]["options"] == ["Europe"]
    assert (offers[1]["min"], offers[1]["max"]) == ("2024-01-01", "2024-01-02")
    assert (offers[2]["min"], offers[2]["max"]) == (10, 20.5)


def test_loading_again_changes_nothing(world):
    text = (world.folder / "catalog.yaml").read_text()
    assert (world.load(text).created, world.load(text).changed) == (0, 0)


def test_values_arrive_as_json_takes_them(reader):
    sql = """SELECT 1.5::numeric AS a, 'NaN'::numeric AS b, 'NaN'::float8 AS c, date '2024-01-02' AS d,
             interval '1 day' AS e,
             ARRAY[1, 2] AS f, '{"a": 1}'::jsonb AS g, 'a%sb' LIKE '%s%' AS h, '\\x01'::bytea AS i"""
    (row,) = run(reader, sql)
    assert row["a"] == float(Decimal("1.5"))
    assert [row[name] for name in "bcdefghi"] == [None, None, "2024-01-02", 86400.0, [1, 2], {"a": 1}, True, "01"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT date_trunc('month', day) AS m, count(*) FILTER (WHERE amount > 1) FROM sales GROUP BY 1 ORDER BY 1",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM sales",
        "SELECT DISTINCT ON (region) region, amount FROM sales ORDER BY region, amount DESC NULLS LAST",
        "SELECT region, rank() OVER (PARTITION BY region ORDER BY amount) FROM sales",
        "SELECT to_char(day, 'YYYY-MM'), extract(dow FROM day), day + interval '1 month' FROM sales",
        "SELECT s.region, x.n FROM sales s, LATERAL (SELECT count(*) AS n FROM weather w WHERE w.day = s.day) x",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT n FROM c",
        "SELECT region, sum(amount) FROM sales GROUP BY ROLLUP (region)",
        "SELECT string_agg(DISTINCT product, ', ' ORDER BY product), array_agg(amount) FROM sales",
        "SELECT round(avg(amount), 2), region || '' FROM sales WHERE region ~ '^E' OR product ILIKE 'T%' GROUP BY 2",
        "SELECT width_bucket(amount, 0, 50, 5), greatest(amount, 5), taken AT TIME ZONE 'UTC' FROM sales",
    ],
)
def test_common_queries_run(reader, sql):
    assert run(reader, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sales",
        "SELECT * FROM (weather RIGHT JOIN sales USING (day))",
        "WITH sales AS (SELECT * FROM sales) SELECT * FROM sales",
        "SELECT * FROM weather RIGHT JOIN public.sales ON true",
        "TABLE sales",
        "SELECT * FROM ONLY sales",
        "SELECT * FROM sales UNION SELECT * FROM public.sales",
        "SELECT sales FROM sales",
        "SELECT region FROM sales WHERE CAST(region AS integer) = 1",
        "SELECT region FROM sales WHERE 1 / (CASE WHEN region = 'Africa' THEN 0 ELSE 1 END) = 1",
    ],
)
def test_no_row_and_no_error_tells_what_a_rule_hides(reader, sql):
    try:
        shown = str(run(reader, sql, rules=["region = 'Europe'"]))
    except (QueryFailed, QueryRefused) as error:
        shown = error.message
    assert "Asia" not in shown
    assert "Africa" not in shown
    assert "division" not in shown


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO sales (region) VALUES ('x')",
        "DELETE FROM sales",
        "DROP TABLE sales",
        "CREATE TABLE x (a int)",
        "SELECT nextval('counter')",
        "WITH x AS (DELETE FROM sales RETURNING *) SELECT * FROM x",
    ],
)
def test_even_without_the_guard_nothing_is_written(reader, data, sql):
    with pytest.raises(QueryFailed):
        reader.read(sql, ["sales"])
    with psycopg.connect(data) as connection:
        assert connection.execute("SELECT count(*) FROM sales").fetchone() == (5,)


def test_a_slow_query_is_stopped(data):
    reader = open_reader(data, Path("/nowhere"), timeout_s=1)
    began = time.monotonic()
    with pytest.raises(QueryFailed, match="longer than 1 s"):
        reader.read("SELECT pg_sleep(20)", [])
    assert time.monotonic() - began < 8
    reader.close()


def test_too_many_rows_fail(reader):
    with pytest.raises(QueryFailed, match="50,000 rows"):
        reader.read("SELECT * FROM generate_series(1, 60000) AS x", [])


def test_an_error_is_told_in_the_databases_words(reader):
    with pytest.raises(QueryFailed, match='column "nope" does not exist'):
        run(reader, "SELECT nope FROM sales")


def test_a_server_that_is_down_is_unavailable():
    reader = open_reader("postgresql://nobody:hunter2@127.0.0.1:1/x", Path("/nowhere"), 1)
    with pytest.raises(DatabaseUnavailable) as down:
        reader.read("SELECT 1", [])
    assert "hunter2" not in down.value.message
    reader.close()


EVIL = st.text(alphabet="'\"\\;-/*()%$?:E{}1x\n\t ", max_size=30) | st.text(max_size=20)


@given(values=st.lists(EVIL.filter(lambda text: "\0" not in text), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_evil_filter_values_stay_values(reader, values):
    definition = {"id": "f", "type": "select", "dataset": "sales", "column": "region", "multiple": True}
    (condition,) = conditions([definition], {"f": {"filterState": {"value": values}}})["sales"]
    assert run(reader, "SELECT region FROM sales", filters=[condition]) == []
    listed = run(
        reader,
        "SELECT region FROM sales",
        filters=[condition.or_(parse_condition("region = 'Asia'", Dialect.POSTGRESQL, "sales", TABLES))],
    )
    assert listed == [{"region": "Asia"}, {"region": "Asia"}]


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("SELECT region, count", "SELECT regoin, count", "charts[0].sql", 'column "regoin" does not exist'),
        ("region = 'Europe'", "region = 7", "row_level_rules[0].clause", "operator does not exist"),
        ("sales, column: region", "sales, column: Region", "dashboards[0].filters[0].column", "mean region?"),
        ("database: demo, table: payroll", "database: demo, table: pay", "datasets[1].table", "does not exist"),
    ],
)
def test_a_catalog_s_names_are_looked_up_in_the_database(world, old, new, field, message):
    path = world.folder / "catalog.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    catalog, (problem, *_) = read_catalog(path, world.folder)
    assert (problem.field, catalog.unchecked) == (field, [])
    assert message in problem.message


def test_a_database_that_does_not_answer_leaves_its_names_unchecked(world):
    path = world.folder / "catalog.yaml"
    url = make_url(world.settings.metadata)
    path.write_text(path.read_text().replace(f":{url.port}/", ":1/"))
    catalog, problems = read_catalog(path, world.folder)
    assert problems == []
    assert "columns of the database 'demo': The database of this chart does not answer" in catalog.unchecked[0]


def test_what_views_of_other_schemas_read_is_known_as_postgresql_tells_it(data, reader):
    with psycopg.connect(data) as connection:
        connection.execute("CREATE SCHEMA mart")
        connection.execute("CREATE VIEW mart.v AS WITH sales AS (SELECT * FROM public.sales) SELECT * FROM sales")
    assert view_reads(reader.views(), Dialect.POSTGRESQL)[("mart", "v")] == {("public", "sales")}
