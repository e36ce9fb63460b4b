"""SQL of analysts, a statement a line: ways out of each dialect, and what they need."""

from shared.catalog.sql import Dialect

SQLITE, POSTGRESQL, DUCKDB, MYSQL = Dialect.SQLITE, Dialect.POSTGRESQL, Dialect.DUCKDB, Dialect.MYSQL


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
