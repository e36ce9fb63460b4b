import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalog.sql import Dialect, parse_query
from shared.catalog.sql_allowed import CHARTS
from shared.errors import QueryRefused

SQLITE, POSTGRESQL = Dialect.SQLITE, Dialect.POSTGRESQL
TABLES = ["sales", "weather"]
REFUSED_EVERYWHERE = """
    delete from sales
    update sales set a = 1
    insert into sales values (1)
    drop table sales
    create table x as select * from sales
    alter table sales add x int
    select 1; select 2
    select 1; drop table sales
    values (1)
    explain select 1
    begin
    vacuum
    select * into x from sales
    select * from secret
    select * from other.sales
    select * from a.b.sales
    select 1 where 1 in (select x from secret)
    with s as (select * from secret) select * from s
    select * from sales union select * from secret
    select * from (select * from secret) x
    select (select max(x) from secret) from sales
    select * from sales join secret using (id)
    select * from (sales join secret on 1 = 1)
    select 5 in sales
    select * from generate_series(1, 9)
    select my_function(1)
    select x.lower('a')
    select :name
    select ?
    select ((((
    select
    ''
"""
REFUSED_BY_SQLITE = """
    pragma table_info(sales)
    attach 'x' as y
    select * from sqlite_master
    select * from sqlite_schema
    select * from pragma_table_info('sales')
    select * from json_each('[1]')
    select * from temp.sales
    select * from sales indexed by i
    select 1 where 5 in main.sales
    select load_extension('x')
    select readfile('/etc/passwd')
    select writefile('/tmp/x', 'y')
    select edit('x')
    select fts3_tokenizer('x')
    select zeroblob(1000000000)
    select randomblob(1)
    select sqlite_version()
    replace into sales values (1)
"""
REFUSED_BY_POSTGRESQL = """
    select struct_extract(('SELECT to_tsvector(region) FROM sales'::text), 'ts_stat') from weather
    select ('SELECT to_tsvector(region) FROM sales'::text).ts_stat from weather
    select ('a'::text).upper from weather
    copy sales to '/tmp/x'
    do $$ begin end $$
    select pg_read_file('/etc/passwd')
    select pg_ls_dir('/')
    select pg_sleep(9)
    select "pg_sleep"(9)
    select pg_catalog.pg_sleep(9)
    select lo_import('/etc/passwd')
    select dblink('x', 'y')
    select set_config('a', 'b', false)
    select current_setting('a')
    select current_user
    select version()
    select query_to_xml('select 1', true, true, '')
    select nextval('s')
    select 'secret'::regclass
    select cast('x' as my_type)
    select * from pg_user
    select * from pg_catalog.pg_class
    select * from information_schema.tables
    select * from unnest(array[1])
    select * from sales, lateral unnest(array[1]) x
    select * from sales tablesample system (5)
    select * from only sales
    select * from sales for update
    with x as (delete from sales returning *) select * from x
    select 1 operator(pg_catalog.+) 2
    select $1
    set role postgres
    listen x
    call p()
    select E'a\\'b'
    select 1 where 5 in (table secret)
"""


# sqlglot takes these quoted names for keywords and would write them down without their quotes.
SMUGGLED = """
    select extract("year from now()), (select x from secret" from day) from sales
    select extract('year from now()), (select x from secret' from day) from sales
    select date_part('year from now()), (select x from secret', day) from sales
    select date_part('year''x', day) from sales
    select a::varchar("10), (select x from secret") from sales
    select cast(a as varchar("10), (select x from secret")) from sales
    select cast(a as "text), (select x from secret") from sales
    select cast(a as "int; drop table sales") from sales
    select timestamp "x' from secret" from sales
    select date_trunc("month', day) from secret --", day) from sales
    select a -> '$."x'' from secret --"' from sales
"""


QUOTED = [
    "select {q} from sales",
    "select region as {q} from sales {q}",
    "select {q}.region from sales as {q}",
    "with {q} as (select * from sales) select * from {q}",
    "select extract({q} from region) from sales",
    "select cast(region as {q}) from sales",
    "select cast(region as varchar({q})) from sales",
    "select date_trunc({q}, region), date_part({q}, region) from sales",
    "select interval '1' {q} from sales",
    "select region collate {q} from sales order by 1 collate {q}",
    "select sum(id) over {q} from sales window {q} as (order by id)",
    "select {q}(region) from sales",
    "select trim({q} from region), trim(both {q} from region) from sales",
    "select region -> {q}, region ->> {q} from sales",
    "select region at time zone {q} from sales",
    "select region from sales join weather using ({q})",
    "select {q} '2024-01-01' from sales",
    "select region from sales group by {q} order by {q} limit {q}",
    "select sum(id) over (rows between {q} preceding and {q} following) from sales",
]


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("sql", lines(REFUSED_EVERYWHERE))
def test_what_is_no_plain_select_is_refused(sql, dialect):
    with pytest.raises(QueryRefused):
        parse_query(sql, dialect, TABLES)


@pytest.mark.parametrize("sql", lines(REFUSED_BY_SQLITE))
def test_sqlites_ways_out_are_refused(sql):
    with pytest.raises(QueryRefused):
        parse_query(sql, SQLITE, TABLES)


@pytest.mark.parametrize("sql", lines(REFUSED_BY_POSTGRESQL))
def test_postgresqls_ways_out_are_refused(sql):
    with pytest.raises(QueryRefused):
        parse_query(sql, POSTGRESQL, TABLES)


def unquoted(sql, dialect):
    """What of it is neither a string nor a quoted name, as the dialect reads them."""
    mysql = r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|`(?:[^`]|``)*`"
    return re.sub(mysql if dialect is Dialect.MYSQL else "'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", sql, flags=re.S)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("sql", lines(SMUGGLED))
def test_nothing_is_smuggled_past_the_guard_in_quotes(sql, dialect):
    with suppress(QueryRefused):
        text = parse_query(sql, dialect, TABLES).sql()
        outside = unquoted(text, dialect)
        assert "secret" not in outside
        assert ";" not in outside


@pytest.mark.parametrize("dialect", list(Dialect))
@given(name=st.text(alphabet="'\"\\;()-/* \n,.$`x1", max_size=20))
@settings(max_examples=150, deadline=None)
def test_quoted_names_stay_names_wherever_they_stand(dialect, name):
    quote = dialect.quote
    mark = f"{quote}{name.replace(quote, 2 * quote)}zq{quote}"
    for shape in QUOTED:
        with suppress(QueryRefused):
            text = parse_query(shape.format(q=mark), dialect, TABLES).sql()
            outside = unquoted(text, dialect)
            assert "zq" not in outside.lower() or re.fullmatch(r"[\w$]*", name)  # one word is only a word


@pytest.mark.parametrize(
    "sql", ["(" * 5000, "(" * 5000 + "select 1" + ")" * 5000, "select " + "- " * 9000 + "1", "select 1 " * 9000]
)
def test_too_much_is_refused(sql):
    with pytest.raises(QueryRefused):
        parse_query(sql, SQLITE, TABLES)


@pytest.mark.parametrize("sql", ["select '\0'", "select '\ud800'"])
def test_what_is_no_text_is_refused(sql):
    with pytest.raises(QueryRefused):
        parse_query(sql, SQLITE, TABLES)


ARGUMENTS = ("", "a", "a, b", "a, b, c", "'x', a", "a, 1, 2, 'x'")


def is_usable(function, dialect):
    for arguments in ARGUMENTS:
        with suppress(QueryRefused):
            return parse_query(f"select {function}({arguments}) from sales", dialect, TABLES)
    return None


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_function_that_is_listed_by_its_name_may_be_used(dialect):
    """Also when the parser has come to know it, and has a class for it."""
    assert [name for name in sorted(CHARTS.named[dialect]) if not is_usable(name, dialect)] == []
