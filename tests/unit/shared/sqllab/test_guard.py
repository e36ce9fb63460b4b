import sqlite3
from contextlib import closing, suppress

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import parse_one

from shared.catalog.sql import Dialect, parse_condition
from shared.errors import QueryRefused
from shared.sqllab.access import Access
from shared.sqllab.contents import Contents
from shared.sqllab.guard import Kind, check_script
from shared.sqllab.places import place_of
from tests.samples.analysts import ESCAPES, ESCAPES_EVERYWHERE, USEFUL, USEFUL_EVERYWHERE, lines
from tests.samples.sql import EVIL, QUERY

SQLITE, POSTGRESQL, DUCKDB, MYSQL = Dialect.SQLITE, Dialect.POSTGRESQL, Dialect.DUCKDB, Dialect.MYSQL
DATA = """
    CREATE TABLE sales (id INTEGER, region TEXT);
    INSERT INTO sales VALUES (1, 'Europe'), (4, 'hidden');
    CREATE TABLE weather (id INTEGER, region TEXT);
    INSERT INTO weather VALUES (1, 'Europe');
"""


def analyst(dialect, **more):
    """May read all of the database; of sales, only Europe."""
    rule = parse_condition("region = 'Europe'", dialect, "sales", ["sales", "weather"])
    facts = {"whole": True, "rules": {(dialect.schema, "sales"): (rule,)}, "contents": Contents(frozenset({"mart"}))}
    return Access(dialect, **{**facts, **more})


def check(sql, dialect=SQLITE, access=None, **options):
    return check_script(sql, dialect, access or analyst(dialect), **{"limit": 10, "allow_dml": True, **options})


def run(sql, dialect=SQLITE, **options):
    (statement,) = check(sql, dialect, **options).statements
    return statement


@pytest.mark.parametrize(
    ("dialect", "sql"), [(dialect, sql) for dialect in Dialect for sql in lines(ESCAPES[dialect] + ESCAPES_EVERYWHERE)]
)
def test_ways_out_are_refused(dialect, sql):
    with pytest.raises(QueryRefused):
        check(sql, dialect)


@pytest.mark.parametrize(
    ("dialect", "sql"), [(dialect, sql) for dialect in Dialect for sql in lines(USEFUL[dialect] + USEFUL_EVERYWHERE)]
)
def test_what_analysts_need_is_allowed_and_reads_the_same_again(dialect, sql):
    statement = run(sql, dialect, limit=None)
    if statement.kind is not Kind.OTHER:
        assert parse_one(statement.sql, dialect=dialect.value).sql(dialect.value) == statement.sql
    if "sales" in sql:
        assert "Europe" in statement.sql


@pytest.mark.parametrize("dialect", list(Dialect))
def test_kind_and_tables_are_told(dialect):
    here = dialect.schema
    script = check("select 1 from weather, mart.x; create table n as select * from sales; explain select 1", dialect)
    assert [statement.kind for statement in script.statements] == [Kind.READ, Kind.WRITE, Kind.OTHER]
    assert script.statements[0].reads == {(here, "weather"), ("mart", "x")}
    assert (script.statements[1].reads, script.statements[1].writes) == ({(here, "sales")}, {(here, "n")})
    assert script.writes


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("sql", "end", "ours"),
    [
        ("select 1", " LIMIT 11", True),
        ("select 1 limit 11", " LIMIT 11", True),
        ("select 1 limit 10", " LIMIT 10", False),
        ("select 1 union select 2", " LIMIT 11", True),
        ("select 1 union select 2 limit 3", " LIMIT 3", False),
        ("((select 1 limit 3))", " LIMIT 3", False),
        ("select * from (select 1 limit 3) as x", " LIMIT 11", True),
        ("select 1 limit 999999 offset 5", " LIMIT 11 OFFSET 5", True),
    ],
)
def test_one_row_more_than_the_limit_is_asked_for(dialect, sql, end, ours):
    statement = run(sql, dialect)
    assert (statement.sql.endswith(end), statement.limited) == (True, ours)


@pytest.mark.parametrize("tail", ["limit 3 + 99", "limit (select max(id) * 99 from weather)", "limit -1"])
def test_a_limit_that_is_no_number_cannot_ask_for_more(tail):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(DATA)
        more = "union all ".join(["select 1 from weather "] * 20)
        assert len(connection.execute(run(f"select * from ({more}) {tail}").sql).fetchall()) == 11


def test_writing_needs_the_database_to_allow_it_and_a_grant_of_the_schema():
    with pytest.raises(QueryRefused, match="only for reading"):
        check("insert into weather values (1, 'x')", allow_dml=False)
    reader = Access(SQLITE, datasets=frozenset({("main", "weather")}))
    assert run("select * from weather", access=reader).reads == {("main", "weather")}
    for sql in ("insert into weather values (1, 'x')", "create table x (a int)"):
        with pytest.raises(QueryRefused, match="no table that you may write"):
            check(sql, access=reader)


def test_duckdb_moves_no_condition_of_a_query_before_those_of_a_rule():
    """Else errors of the query would tell of hidden rows. It takes limits away that are larger than the table."""
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(
            "create table sales as select i as id, if(i < 3, 'hidden', 'Europe') as region from range(9) t(i)"
        )
        sql = run("select id from sales where id < 5", DUCKDB, limit=None).sql
        plan = connection.execute(f"explain {sql}").fetchall()[0][1]
    assert plan.index("id < 5") < plan.index("Limit") < plan.index("region = 'Europe'")


@pytest.mark.parametrize("name", ["payroll", "no_such_table", "main.payroll", "mart.x", "nowhere.y"])
def test_a_refusal_does_not_tell_whether_a_table_exists(name):
    reader = Access(SQLITE, datasets=frozenset({("main", "weather")}), contents=Contents(frozenset({"main", "mart"})))
    with pytest.raises(QueryRefused) as refused:
        check(f"select * from {name}", access=reader)
    assert refused.value.message == f"The query is refused: {name} is no table that you may read here."


def test_a_view_over_a_table_under_a_rule_is_refused():
    access = analyst(SQLITE, tainted=frozenset({("main", "europe")}))
    for sql in ("select * from europe", "with x as (select * from EUROPE) select 1 from x", "delete from europe"):
        with pytest.raises(QueryRefused, match="hidden from you"):
            check(sql, access=access)


def test_the_place_of_a_statement_is_that_in_the_script_also_under_rules():
    sql = "select 1;\nselect   a from sales"
    *_, last = check(sql).statements
    assert sql[last.span.start : last.span.end] == "a from sales"


def test_whether_rules_are_part_of_what_runs_is_told():
    assert check("select a from sales; select 1").ruled
    assert check("insert into weather select a, a from sales").ruled
    assert not check("select a from weather").ruled


@pytest.mark.parametrize(
    ("sql", "dialect", "costed"),
    [
        ("explain analyze select a from weather", POSTGRESQL, "SELECT"),
        ("explain select a from weather", POSTGRESQL, ""),
        ("describe weather", MYSQL, ""),
        ("create table mine as select a from weather", DUCKDB, "SELECT"),
        ("create table mine (a integer)", DUCKDB, ""),
        ("drop table weather", POSTGRESQL, ""),
        ("insert into weather select * from weather", POSTGRESQL, "INSERT"),
        ("select a from weather", SQLITE, "SELECT"),
    ],
)
def test_what_a_database_can_plan_and_runs_is_told(sql, dialect, costed):
    (statement,) = check(sql, dialect).statements
    assert statement.costed.partition(" ")[0] == costed


def test_a_name_that_the_database_would_cut_off_is_refused():
    with pytest.raises(QueryRefused, match="longer than 63 bytes"):
        check(f"select * from {'s' * 64}", POSTGRESQL)


def test_mysqls_own_database_is_one_under_both_its_names():
    access = analyst(MYSQL, home="shop")
    assert run("select * from shop.sales", MYSQL, access=access).sql == run("select * from sales", MYSQL).sql
    with pytest.raises(QueryRefused):
        check("select * from SHOP.sales", MYSQL, access=access)


def test_a_schema_can_be_chosen_for_names_without_one():
    assert run("select * from x", schema="mart").reads == {("mart", "x")}


@pytest.mark.parametrize(
    ("sql", "line", "column", "fragment"),
    [
        ("select 1;\n\nselect *\nfrom weather, nowhere.x", 4, 15, "nowhere.x"),
        ("select 1,\n  pg_ls_dir('/')", 2, 3, "pg_ls_dir"),
        ("select 'é',\n a b c", 2, 6, "c"),
        ("select\n 'open", 2, 2, "'open"),
        ("delete\nfrom sales", 2, 6, "sales"),
        ("select a from weather\nwhere", 2, 1, "where"),
    ],
)
def test_a_refusal_tells_its_place(sql, line, column, fragment):
    with pytest.raises(QueryRefused) as refused:
        check(sql, POSTGRESQL)
    assert refused.value.span is not None
    place = place_of(sql, refused.value.span)
    assert (place.line, place.column, place.fragment) == (line, column, fragment)
    assert sql[place.start : place.end] == fragment


@given(sql=QUERY, tail=EVIL, engine=st.sampled_from([SQLITE, DUCKDB]))
@settings(max_examples=200, deadline=None)
def test_no_script_that_passes_shows_what_a_rule_hides(sql, tail, engine):
    for text in (sql, f"{sql} {tail}", f"create table mine as {sql}; select * from mine", f"explain {sql}"):
        try:
            script = check(text, engine)
        except QueryRefused:
            continue
        for statement in script.statements:
            if statement.kind is not Kind.OTHER:
                assert parse_one(statement.sql, dialect=engine.value).sql(engine.value) == statement.sql
        with closing((sqlite3 if engine is SQLITE else duckdb).connect(":memory:")) as connection:
            for statement in DATA.split(";"):
                connection.execute(statement)
            for statement in script.statements:
                with suppress(sqlite3.Error, duckdb.Error):  # a query may be wrong; it may not show too much
                    assert "hidden" not in str(connection.execute(statement.sql).fetchmany(100))
