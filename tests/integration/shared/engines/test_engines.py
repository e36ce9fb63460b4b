"""What every engine does alike, on each of the real databases."""

import threading
import time
from contextlib import contextmanager

import pytest

from shared.catalog.readers import open_reader
from shared.catalog.sql import Conditions, parse_condition, parse_query
from shared.engines.slots import Slots
from shared.errors import (
    DatabaseUnavailable,
    QueryCancelled,
    QueryFailed,
    QueryTimedOut,
    VitrineError,
)
from tests.harness.polling import wait_until


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
