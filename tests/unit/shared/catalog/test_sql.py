import sqlite3
from contextlib import closing, suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp, parse

from shared.catalog.filters import conditions
from shared.catalog.sql import Conditions, Dialect, parse_condition, parse_query
from shared.errors import InvalidInput, QueryRefused
from tests.samples.sql import EVIL, QUERY

SQLITE, POSTGRESQL = Dialect.SQLITE, Dialect.POSTGRESQL
TABLES = ["sales", "weather"]


@pytest.fixture
def database():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            """
            CREATE TABLE sales (id INTEGER, region TEXT, amount REAL);
            INSERT INTO sales VALUES (1, 'Europe', 10), (2, 'Asia', 20), (3, 'Europe', 30), (4, 'secret', 40);
            CREATE TABLE weather (id INTEGER, region TEXT);
            INSERT INTO weather VALUES (1, 'Europe'), (4, 'secret');
            """
        )
        yield connection


def europe(sql, rules=("region = 'Europe'",), filters=()):
    parsed = tuple(parse_condition(rule, SQLITE, "sales", TABLES) for rule in rules)
    return parse_query(sql, SQLITE, TABLES).sql({"sales": Conditions(parsed, tuple(filters))})


@pytest.mark.parametrize(
    ("sql", "ids"),
    [
        ("select id from sales", [1, 3]),
        ("select sales.id from sales", [1, 3]),
        ("select main.sales.id from main.sales", [1, 3]),
        ("select s.id from SALES s", [1, 3]),
        ('select "s".id from "Sales" as "s"', [1, 3]),
        ("select id from [sales]", [1, 3]),
        ("select id from `sales` where amount > 10", [3]),
        ("select a.id from sales a join sales b on a.id = b.id", [1, 3]),
        ("select a.id from sales a, sales b where a.id = b.id", [1, 3]),
        ("select weather.id from weather left join sales using (id)", [1, 4]),
        ("select sales.id from (sales join weather on sales.id = weather.id)", [1]),
        ("select sales.id from (weather join sales on sales.id = weather.id)", [1]),
        ("select id from (select * from sales)", [1, 3]),
        ("select id from ((sales))", [1, 3]),
        ("select id from weather where id in (select id from sales)", [1]),
        ("select id from weather w where exists (select 1 from sales where sales.id = w.id)", [1]),
        ("select (select max(id) from sales)", [3]),
        ("select id from sales union all select id from sales", [1, 3, 1, 3]),
        ("select id from weather except select id from sales", [4]),
        ("with x as (select * from sales) select id from x", [1, 3]),
        ("with sales as (select * from sales) select sales.id from sales", [1, 3]),
        ("with sales as (select 9 as id) select id from sales", [9]),
        ("with sales as (select 9 as id) select id from main.sales", [1, 3]),
        ("with sales as (select 9 as id), x as (select * from sales) select id from x", [9]),
        ("with x as (select * from sales), sales as (select 9 as id) select id from x", [1, 3]),
        (
            "select id from (with sales as (select 9 as id) select * from sales) union all select id from sales",
            [9, 1, 3],
        ),
        ("with weather as (select * from sales) select id from weather", [1, 3]),
        (
            "with recursive c(id) as (select 1 union all select id + 1 from c where id < 4)"
            " select c.id from c join sales using (id)",
            [1, 3],
        ),
        (
            "with recursive sales(id) as (select 8 union all select id + 1 from sales where id < 9)"
            " select id from sales",
            [8, 9],
        ),
        ("select id from sales window w as (partition by region)", [1, 3]),
        ("select count(*) from sales group by region", [2]),
        ("select id from sales order by (select count(*) from sales) desc limit 1 offset 1", [3]),
        ("select id from sales -- where 1=0", [1, 3]),
        ("select /* ' */ id from sales;", [1, 3]),
    ],
)
def test_a_rule_holds_wherever_the_table_stands(database, sql, ids):
    assert [row[0] for row in database.execute(europe(sql))] == ids


def test_all_rules_must_hold_and_each_keeps_to_itself(database):
    sql = europe("select id from sales", rules=("region = 'Asia' or 1 = 1", "amount > 15"))
    assert [row[0] for row in database.execute(sql)] == [2, 3, 4]


def test_a_rule_may_look_into_other_datasets(database):
    sql = europe("select id from sales", rules=("id in (select weather.id from weather)",))
    assert [row[0] for row in database.execute(sql)] == [1, 4]


@pytest.mark.parametrize(
    "clause",
    [
        "",
        "1",
        "'a'",
        "region",
        "region = 'x'; drop table sales",
        "1 = 1) or (1 = 1",
        "1 = 1 union select 1",
        "select 1",
        "region = 'x' limit 1",
        "id in (select x from secret)",
        "exists (select 1 from sqlite_master)",
        "load_extension('x') = 1",
        "count(*) > 1",
        "other.region = 'x'",
        "id in weather",
        "(1",
    ],
)
def test_a_clause_that_is_no_condition_is_refused(clause):
    if clause == "region":  # a boolean column is a condition
        assert parse_condition(clause, SQLITE, "sales", TABLES)
        return
    with pytest.raises(QueryRefused):
        parse_condition(clause, SQLITE, "sales", TABLES)


def test_a_misspelt_column_of_a_rule_is_an_error_and_no_text(database):
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        database.execute(europe("select id from sales", rules=("\"regoin\" <> 'x'",)))


def test_the_querys_own_conditions_never_see_rows_that_a_rule_hides(database):
    database.create_function("abs", 1, lambda value: 1 / 0 if value == 40 else value)
    sql = europe("select id from sales where abs(amount) > 0")
    assert [row[0] for row in database.execute(sql)] == [1, 3]


@pytest.mark.parametrize("name", ["", "a b", "x.y.z", "sales; drop", "f()", "sales as s", "temp.sales", "1"])
def test_a_table_name_that_is_none_is_refused(name):
    with pytest.raises(QueryRefused):
        parse_query("select 1", SQLITE, [name])


def test_postgresql_tells_quoted_names_apart():
    tables = ["sales", '"Sales"', "reports.sales"]
    found = [
        parse_query(f"select * from {name}", POSTGRESQL, tables).tables
        for name in ("SALES", '"Sales"', "Reports.sales")
    ]
    assert found == [{"sales"}, {'"Sales"'}, {"reports.sales"}]
    assert '"reports"."sales"' in parse_query("select * from reports.sales", POSTGRESQL, tables).sql()


FILTER = [{"id": "f", "type": "select", "dataset": "sales", "column": "region", "multiple": True}]


@given(values=st.lists(EVIL, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
@example(values=["x') OR ('1'='1"])
def test_evil_filter_values_stay_values(values):
    mask = {"f": {"filterState": {"value": values}}}
    try:
        (condition,) = conditions(FILTER, mask)["sales"]
    except InvalidInput:
        assert any("\0" in value for value in values)
        return
    for dialect in Dialect:
        sql = parse_query("select region from sales", dialect, TABLES).sql({"sales": Conditions(filters=(condition,))})
        (tree,) = parse(sql, dialect=dialect.value)
        assert tree is not None
        assert [literal.this for literal in tree.find_all(exp.Literal) if literal.is_string] == values
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table sales (region text)")
        connection.executemany("insert into sales values (?)", [("hidden",), *((value,) for value in values)])
        sql = parse_query("select region from sales", SQLITE, TABLES).sql({"sales": Conditions(filters=(condition,))})
        assert {row[0] for row in connection.execute(sql)} == set(values) - ({"hidden"} - set(values))


@given(sql=QUERY, tail=EVIL)
@settings(max_examples=400, deadline=None)
def test_no_query_that_passes_shows_what_a_rule_hides(sql, tail):
    for text in (sql, f"{sql} {tail}", f"select region from sales where region = '{tail}'"):
        try:
            guarded = europe(text)
        except QueryRefused:
            continue
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(
                "create table sales (id, region); insert into sales values (1, 'Europe'), (4, 'hidden');"
                "create table weather (id, region); insert into weather values (1, 'Europe');"
                "create table secret (id, region); insert into secret values (4, 'hidden');"
            )
            with suppress(sqlite3.Error):  # a query may be wrong; it may not show too much
                assert "hidden" not in str(connection.execute(guarded).fetchmany(100))
