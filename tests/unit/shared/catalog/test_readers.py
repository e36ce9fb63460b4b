import sqlite3
import time

import pytest

from shared.catalog.readers import open_reader
from shared.errors import DatabaseUnavailable, QueryFailed

ENDLESS = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT max(x) FROM a"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a b#.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE sales (id INTEGER, region TEXT); INSERT INTO sales VALUES (1, 'Europe'), (2, x'ff');"
        "CREATE TABLE secret (x); INSERT INTO secret VALUES ('s'); CREATE VIEW seen AS SELECT x FROM secret;"
    )
    connection.close()
    return path


@pytest.fixture
def reader(file, tmp_path):
    return open_reader(f"sqlite:///{file.name}", tmp_path, timeout_s=0.5)


def test_rows_are_read(reader):
    assert reader.read("SELECT id FROM sales ORDER BY id", ["sales"]).data == [{"id": 1}, {"id": 2}]


def test_text_that_is_no_utf8_does_not_fail(reader):
    assert reader.read("SELECT CAST(region AS TEXT) AS r FROM sales WHERE id = 2", ["sales"]).data == [{"r": "\ufffd"}]


def test_a_view_may_be_registered(reader):
    assert reader.read("SELECT x FROM seen", ["seen"]).data == [{"x": "s"}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM secret",
        "SELECT * FROM sales UNION SELECT x, x FROM secret",
        "SELECT * FROM seen",
        "SELECT * FROM sqlite_master",
        "PRAGMA table_info(sales)",
        "ATTACH ':memory:' AS other",
        "INSERT INTO sales VALUES (3, 'x')",
        "DELETE FROM sales",
        "DROP TABLE sales",
        "CREATE TABLE x (a)",
        "SELECT load_extension('x')",
        "SELECT zeroblob(100)",
        "SELECT * FROM json_each('[1]'), secret",
    ],
)
def test_even_without_the_guard_only_the_named_tables_are_read(reader, file, sql):
    before = file.read_bytes()
    with pytest.raises(QueryFailed):
        reader.read(sql, ["sales"])
    assert file.read_bytes() == before


def test_an_endless_query_is_stopped(reader):
    began = time.monotonic()
    with pytest.raises(QueryFailed, match=r"longer than 0\.5 s"):
        reader.read(ENDLESS, ["sales"])
    assert time.monotonic() - began < 5


def test_an_enormous_value_is_refused(reader):
    with pytest.raises(QueryFailed):
        reader.read("SELECT hex(hex(printf('%.*c', 8000000, 'x'))) AS x", ["sales"])


def test_an_error_is_told_in_the_databases_words(reader):
    with pytest.raises(QueryFailed, match=r"no such column: sales\.nope"):
        reader.read("SELECT sales.nope FROM sales", ["sales"])


def test_a_missing_file_is_unavailable_and_is_not_made(tmp_path):
    with pytest.raises(DatabaseUnavailable):
        open_reader("sqlite:///gone.sqlite", tmp_path, 1).read("SELECT 1", [])
    assert not (tmp_path / "gone.sqlite").exists()


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "x.sqlite").write_text("hello " * 1000)
    with pytest.raises(DatabaseUnavailable):
        open_reader("sqlite:///x.sqlite", tmp_path, 1).read("SELECT * FROM sales", ["sales"])
