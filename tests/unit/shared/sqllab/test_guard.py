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


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


ESCAPES = {
    SQLITE: """
        attach 'x.sqlite' as y
        detach main
        pragma writable_schema = 1
        pragma table_info(sales)
        select load_extension('x')
        select readfile('/etc/passwd')
        select writefile('/x', 'y')
        select * from pragma_table_info('sales')
        select * from temp.sales
        select * from sqlite_temp_master
        select * from sqlite_stat4
        select * from dbstat
        select * from bytecode
        select * from main.sqlite_sequence
        vacuum into '/x'
        create trigger t after insert on weather begin delete from weather; end
        create view v as select * from sales
        create virtual table v using fts5(x)
        create temp table t as select 1
        replace into weather values (1, 'x') union select 1
        select 5 in sales
    """,
    POSTGRESQL: """
        select ('select 1'::text).ts_stat
        select struct_extract(('select 1'::text), 'ts_stat')
        select (array['select 1'])[1].ts_stat
        select x.ts_stat from regexp_split_to_table('select 1', '~') as x
        select x.ts_stat from unnest(array['select 1']) as x
        select x.ts_stat from unnest(array['select 1']) as x(y)
        select ts_stat.ts_stat from unnest(array['select 1']) as ts_stat(y)
        select unnest.ts_stat from unnest(array['select 1'])
        select X.ts_stat from string_to_table('select 1', '~') as "x"
        select string_to_table.ts_stat from string_to_table('select 1', '~')
        select x.ts_stat from (select 1 from unnest(array[1]) as x(ts_stat)) as s, unnest(array['select 1']) as x
        copy sales to '/x'
        copy weather from program 'id'
        do $$ begin end $$
        select pg_read_file('/etc/passwd')
        select pg_read_binary_file('/etc/passwd')
        select pg_ls_dir('/')
        select lo_import('/etc/passwd')
        select * from dblink('x', 'select 1') as t(a int)
        select dblink_exec('x', 'y')
        select set_config('role', 'postgres', false)
        select current_setting('x')
        select query_to_xml('select * from sales', true, true, '')
        select table_to_xml('sales', true, true, '')
        select * from ts_stat('select region from sales')
        select * from pg_catalog.pg_authid
        select * from pg_catalog.pg_stats
        select * from information_schema.routines
        select * from pg_temp.sales
        select * from pg_toast.pg_toast_1
        select pg_terminate_backend(1)
        select pg_advisory_lock(1)
        select nextval('s')
        select 'sales'::regclass
        select * from only sales
        select * from sales tablesample system (5)
        select * from weather for update
        select * into x from weather
        with x as (delete from weather returning *) select * from x
        with x as (insert into weather values (1) returning *) select * from x
        merge into weather using sales on true when matched then delete
        truncate sales
        create extension dblink
        create function f() returns int language sql as 'select 1'
        create view v as select * from sales
        create table t (like sales)
        create table t (a int default nextval('s'))
        create table t (a int references sales (id))
        create temp table t as select 1
        alter table weather rename to w
        grant all on sales to public
        set role postgres
        set session authorization postgres
        reset all
        show search_path
        listen x
        call p()
        prepare p as select 1
        begin
        lock table weather
        explain (analyze) delete from weather
        explain analyze delete from weather
        select * from sales@x
        select 1 operator(pg_catalog.+) 2
        select * from xmltable('/x' passing '<x/>' columns a int)
    """,
    DUCKDB: """
        select * from read_csv('/etc/passwd')
        select * from read_text('/etc/passwd')
        select * from read_parquet('x')
        select * from '/etc/passwd'
        select * from 'sales.csv'
        select * from main."x.parquet"
        select * from glob('/*')
        select * from query('select * from sales')
        select * from query_table('sales')
        select * from histogram(sales, region)
        select * from histogram_values(sales, region)
        select * from duckdb_secrets()
        select * from duckdb_settings()
        select * from duckdb_settings
        select * from main.duckdb_logs
        select * from which_secret('x', 's3')
        select * from sqlite_scan('x', 'y')
        select * from pragma_storage_info('sales')
        select * from pragma_database_list
        select * from memory.sales
        select * from memory.main.sales
        select * from system.information_schema.tables
        select getenv('HOME')
        select current_setting('secret_directory')
        select getvariable('x')
        select json_execute_serialized_sql('x')
        select nextval('s')
        install httpfs
        load httpfs
        attach 'x' as y
        use memory
        copy sales to 'x'
        copy (select 1) to 'x'
        export database 'x'
        import database 'x'
        set enable_external_access = true
        pragma enable_profiling
        create secret s (type s3)
        create macro m() as table select * from sales
        create or replace view v as select * from sales
        checkpoint
        call duckdb_tables()
        summarize sales
        explain analyze select * from sales
        pivot sales on region
        select * from sales using sample 5
        select * from (describe sales)
        select * from (show all tables)
    """,
    MYSQL: """
        select load_file('/etc/passwd')
        select region from weather into outfile '/x'
        select region from weather into dumpfile '/x'
        select 1 into @x
        select @@secure_file_priv
        select @x := 1
        load data infile '/x' into table weather
        set global general_log = 1
        set @x = 1
        set session transaction read write
        select * from mysql.user
        select * from performance_schema.threads
        select * from information_schema.column_statistics
        select * from sys.session
        select benchmark(100000000, md5('x'))
        select get_lock('x', 1)
        select user()
        select sys_exec('id')
        select * from SALES
        select * from Sales
        update sales, weather set weather.id = 1
        delete weather from weather join sales
        select * from weather use index (a)
        select * from weather for update
        select * from weather partition (p)
        handler sales open
        prepare s from 'select 1'
        call p()
        show grants
        show processlist
        show create table sales
        kill 1
        flush tables
        use mysql
        do sleep(1)
        replace into weather values (1, 'x')
        rename table weather to w
        lock tables weather read
        explain format=json select * from sales
    """,
}
ESCAPES_EVERYWHERE = """
    delete from sales
    update sales set region = 'x'
    insert into sales values (1, 'x')
    drop table sales
    drop table weather, sales
    drop schema mart
    drop view v
    alter table sales add x int
    explain select * from sales
    explain delete from weather
    explain explain select 1
    explain select 1; drop table sales
    select * from nowhere.sales
    select * from a.b.sales
    select 1 from weather where id in (delete from weather)
    insert into weather select * from nowhere.x
    update weather set id = (select max(id) from nowhere.x)
    select my_function(1)
    select mart.lower('a')
    select * from lower('x')
    values (1)
    commit
    grant x to y
    select ?
    select :name
    select 'x
    select (((
    ;
"""


@pytest.mark.parametrize(
    ("dialect", "sql"), [(dialect, sql) for dialect in Dialect for sql in lines(ESCAPES[dialect] + ESCAPES_EVERYWHERE)]
)
def test_ways_out_are_refused(dialect, sql):
    with pytest.raises(QueryRefused):
        check(sql, dialect)


USEFUL = {
    SQLITE: """
        select j.value from weather w, json_each('[1, 2]') j
        insert or replace into weather values (1, 'x') on conflict (id) do update set region = excluded.region
        select name from sqlite_master
        explain query plan select * from weather
        with recursive c(n) as (select 1 union all select n + 1 from c where n < 9) select * from c
    """,
    POSTGRESQL: """
        select pg_sleep(1)
        select * from generate_series(1, 3) as g(n)
        select g.n, h.h, k.key from generate_series(1, 3) as g(n), unnest(array[1]) as h, json_each('{}') as k
        select e.* from weather w, jsonb_array_elements(to_jsonb(array[w.id])) as e
        select unnest(array[1, 2])
        select table_name from information_schema.tables
        select distinct on (region) * from weather order by region, id desc fetch first 3 rows only
        explain analyze select * from weather
        explain select count(*) from weather
        insert into weather values (1, 'x') on conflict do nothing returning *
        update weather as w set region = s.region from sales s where s.id = w.id
        delete from weather using sales where sales.id = weather.id
        select string_agg(region, ',' order by id) filter (where id > 1) over () from weather
    """,
    DUCKDB: """
        from weather
        select * exclude (id) from weather
        select columns('r.*') from weather
        select * from range(3)
        select list_transform([1, 2], x -> x + 1), {'a': 1}.a
        select region, count(*) from weather group by all qualify row_number() over () = 1
        describe weather
        show tables
        explain analyze select * from weather
        select table_name from information_schema.tables
    """,
    MYSQL: """
        select sleep(1)
        select date_format(now(), '%Y'), ifnull(null, 1), group_concat(region separator '-') from weather
        describe weather
        show tables
        explain select * from weather
        insert ignore into weather values (1, 'x')
        select * from weather limit 5, 10
    """,
}
USEFUL_EVERYWHERE = """
    select * from weather where id in (select id from sales)
    select region, row_number() over (partition by region order by id) from weather
    with a as (select * from sales), b as (select * from a) select * from b union all select * from mart.x
    (select 1) union (select 2)
    create table copy as select * from sales
    create table if not exists t (id int primary key, region varchar(20) not null default 'x')
    drop table if exists weather
    update weather set region = (select max(region) from sales) where id = 1
    insert into weather (id, region) select id, region from sales
"""


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
