"""What every engine does alike, on each of the real databases."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.catalog.readers import open_reader
from shared.catalog.sql import Conditions, parse_condition, parse_query
from shared.engines.slots import Slots
from shared.errors import (
    DatabaseUnavailable,
    QueryCancelled,
    QueryFailed,
    QueryTimedOut,
    QueryTooCostly,
    VitrineError,
)
from tests.harness.polling import wait_until

ROOT = Path(__file__).parents[4]


def run(engine, sql, **options):
    with engine.connect(**options) as connection:
        return sum(batch.num_rows for batch in connection.execute(sql).batches())


def both(engine, *statements, **options):
    with engine.connect(**options) as connection:
        for sql in statements:
            connection.execute(sql)


class Background:
    """A call in a thread of its own; `result` waits for the error that ends it."""

    def __init__(self, call, *arguments):
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(call, arguments))
        self._thread.start()

    def _run(self, call, arguments):
        try:
            call(*arguments)
        except VitrineError as error:
            self._error = error

    def result(self):
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self._error


@contextmanager
def in_background(call, *arguments):
    background = Background(call, *arguments)
    yield background
    background.result()


def test_rows_come_with_names_and_types(sample):
    rows = sample.rows("SELECT region, amount FROM sales ORDER BY amount")
    assert rows == [
        {"region": "Europe", "amount": 10},
        {"region": "Åsia", "amount": 20},
        {"region": None, "amount": 30},
    ]


def test_no_rows_have_their_columns(sample):
    assert sample.table("SELECT region FROM sales WHERE amount > 99").schema.names == ["region"]


def test_columns_of_one_name_are_told_apart(sample):
    assert sample.table("SELECT amount, amount FROM sales").schema.names == ["amount", "amount__1"]


def test_what_was_not_read_can_be_given_up(sample):
    with sample.engine.connect() as connection:
        cursor = connection.execute(sample.many)
        assert next(cursor.batches()).num_rows > 100
        cursor.close()
        assert next(connection.execute("SELECT 5 AS five").batches()).to_pylist() == [{"five": 5}]


@pytest.mark.parametrize(
    "sql", ["INSERT INTO sales VALUES ('x', 1)", "DELETE FROM sales", "CREATE TABLE other (a int)"]
)
def test_a_database_that_allows_no_dml_is_not_written_to(sample, sql):
    for engine, read_only in ((sample.engine, True), (sample.open(allow_dml=False), False)):
        with pytest.raises(QueryFailed):
            run(engine, sql, read_only=read_only)
    assert len(sample.rows("SELECT 1 AS one FROM sales")) == 3


def test_what_was_written_is_counted_and_kept(sample):
    with sample.engine.connect(read_only=False) as connection:
        assert connection.execute("UPDATE sales SET amount = amount + 1 WHERE amount > 10").rowcount == 2
    assert [row["amount"] for row in sample.rows("SELECT amount FROM sales ORDER BY amount")] == [10, 21, 31]


def test_nothing_is_kept_of_a_session_that_failed(sample):
    with pytest.raises(QueryFailed):
        both(sample.engine, "DELETE FROM sales", "SELECT nope FROM sales", read_only=False)
    assert len(sample.rows("SELECT 1 AS one FROM sales")) == 3


def test_an_error_has_the_database_s_words_and_place(sample):
    sql = "SELECT region, nope FROM sales"
    with pytest.raises(QueryFailed, match="nope") as failed:
        run(sample.engine, sql)
    span = failed.value.span
    assert span is None or sql[span.start : span.end] == "nope"


def test_a_query_ends_at_its_time_limit_and_leaves_nothing_running(sample):
    began = time.monotonic()
    with pytest.raises(QueryTimedOut, match="longer than 1 s"):
        run(sample.engine, sample.sleep, timeout_s=1)
    assert time.monotonic() - began < 20
    wait_until(lambda: sample.running() == [], 20, "the server to be idle")


@pytest.mark.parametrize("sample", ["postgresql"], indirect=True)
@pytest.mark.parametrize("read_only", [True, False])
def test_the_server_is_told_what_is_left_of_a_script_s_time(sample, read_only):
    def limit_ms(connection):
        cursor = connection.execute("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
        return next(cursor.batches()).column(0)[0].as_py()

    with sample.engine.connect(read_only=read_only, timeout_s=60) as connection:
        whole_ms = limit_ms(connection)
        list(connection.execute("SELECT 1 FROM pg_sleep(1.2)").batches())
        assert limit_ms(connection) <= whole_ms - 1000
        unread = connection.execute(sample.many)
        next(unread.batches())
        unread.close()
        assert limit_ms(connection) <= whole_ms - 1000


def test_a_cancel_ends_what_runs_in_the_database_itself(sample):
    with sample.engine.connect() as connection, in_background(connection.execute, sample.sleep) as background:
        if connection.server_id:
            wait_until(lambda: sample.sleep in sample.running(), 20, "the server to run it")
        connection.cancel()
        assert isinstance(background.result(), QueryCancelled)
        wait_until(lambda: sample.running() == [], 20, "the server to be idle")
        with pytest.raises(QueryCancelled):
            connection.execute("SELECT 1")


def test_a_cancel_while_rows_are_read_ends_them(sample):
    with sample.engine.connect() as connection:
        rows = connection.execute(sample.many).batches()
        next(rows)
        connection.cancel()
        with pytest.raises(QueryCancelled):
            list(rows)


def test_what_a_dead_worker_left_is_killed_by_its_id(sample):
    with sample.engine.connect() as connection, in_background(connection.execute, sample.sleep) as background:
        if not connection.server_id:  # it dies with its process
            connection.cancel()
            assert not sample.engine.kill("1")
            return
        wait_until(lambda: sample.sleep in sample.running(), 20, "the server to run it")
        assert sample.engine.kill(connection.server_id)
        assert isinstance(background.result(), DatabaseUnavailable)
    assert not sample.engine.kill(connection.server_id)


def test_connections_of_one_process_are_bounded(sample):
    engine = sample.open()
    engine._slots = Slots("other", 1, wait_s=0.1)
    with engine.connect(), pytest.raises(DatabaseUnavailable, match="in use"), engine.connect():
        pass


def test_what_a_query_would_cost_is_told_before_it_runs(sample):
    if not sample.engine.unit:
        assert sample.engine.estimate(sample.many) is None
        return
    engine = sample.open(allow_dml=True, max_cost=100)
    assert 0 < engine.estimate("SELECT amount FROM sales") <= 100
    assert engine.estimate("UPDATE sales SET amount = 0", read_only=False) is not None
    with pytest.raises(QueryTooCostly, match=engine.unit):
        engine.estimate(sample.many)
    assert {row["amount"] for row in sample.rows("SELECT amount FROM sales")} == {10, 20, 30}, "it did not run"


def test_what_a_table_of_the_same_session_costs_is_told_there(sample):
    engine = sample.open(allow_dml=True, max_cost=10**9)
    with engine.connect(read_only=False) as connection:
        connection.execute("CREATE TABLE mine AS SELECT amount FROM sales").close()
        estimate = engine.estimate_in(connection, "SELECT amount FROM mine")
        assert (estimate is None) == (not engine.unit)
        (batch,) = connection.execute("SELECT amount FROM mine").batches()
        assert batch.num_rows == 3


WIDE = {  # 400 MB in rows of 4 MB; DuckDB itself makes 2,048 rows at once, and has a limit for them
    "sqlite": "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 100) "
    "SELECT printf('%4000000d', x) AS text FROM a",
    "postgresql": "SELECT repeat('x', 4000000) AS text FROM generate_series(1, 100)",
    "mariadb": "SELECT repeat('x', 4000000) AS text FROM seq_1_to_100",
}
READ = """
import resource, sys
from pathlib import Path
from shared.engines import open_engine
from shared.metadata.models import Database
from tests.samples.catalog import make_settings

url, folder, sql = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
with open_engine(Database(name="wide", url=url), make_settings(Path(folder))).connect() as connection:
    list(connection.execute("SELECT 1 AS one").batches())
    before = peak()
    print(sum(batch.num_rows for batch in connection.execute(sql).batches()), peak() - before)
"""


def test_wide_rows_are_in_memory_a_few_at_a_time(sample):
    sql = WIDE.get(sample.engine.dialect.name.lower().replace("mysql", "mariadb"))
    if sql is None:
        return
    command = [sys.executable, "-c", READ, sample.url, str(sample.folder), sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows, mib = map(int, done.stdout.split()[-2:])
    assert rows == 100
    assert mib < 220, f"{mib} MiB for rows of 4 MB"


def test_schemas_tables_and_columns_are_listed(sample):
    (table,) = sample.engine.tables()
    schema = table.schema
    assert schema in sample.engine.schemas()
    assert sample.engine.tables(schema) == [table]
    assert (table.name, table.kind) == ("sales", "table")
    assert [column.name for column in sample.engine.columns("sales", schema)] == ["region", "amount"]
    assert sample.engine.columns("nope") == []


def test_a_test_tells_what_answered_and_in_what_time(sample):
    tested = sample.engine.test()
    assert any(character.isdigit() for character in tested.server)
    assert 0 < tested.seconds < 30


def test_charts_read_it_too(sample):
    reader = open_reader(sample.url, sample.folder / "state", timeout_s=60)
    query = parse_query("SELECT sum(amount) AS n FROM sales", reader.dialect, ["sales"])
    rule = parse_condition("region <> 'Europe'", reader.dialect, "sales", ["sales"])
    rows = reader.read(query.sql({"sales": Conditions(rules=(rule,))}), ["sales"]).data
    assert [int(row["n"]) for row in rows] == [20]
    assert reader.views() == {}
    reader.close()
