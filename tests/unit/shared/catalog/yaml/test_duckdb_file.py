import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone

import duckdb
import pytest

from shared.catalog.yaml import duckdb_file
from shared.catalog.yaml.duckdb_file import DuckdbFile
from shared.errors import DatabaseUnavailable

READ = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.read()
connection.close()
"""


@pytest.fixture
def file(tmp_path):
    made = DuckdbFile(tmp_path / "x.duckdb")
    made.fill("x", {"n": "integer"}, iter([(1,)]))
    return made


@pytest.fixture
def reader(file, tmp_path):
    """Another process that has it open, until its input ends."""
    command = [sys.executable, "-c", READ, str(tmp_path / "x.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process


def rows(path, sql):
    with closing(duckdb.connect(path, read_only=True)) as connection:
        return connection.execute(sql).fetchall()


def test_columns_have_duckdb_s_own_types(file, tmp_path):
    columns = {"d": "date", "t": "datetime", "b": "boolean", "i": "integer", "r": "real", "s": "text"}
    row = (date(2024, 1, 2), datetime(2024, 1, 2, 3, 4), True, 2**63 - 1, 0.5, "ü")
    file.fill("kinds", columns, iter([row, (None,) * 6]))
    assert rows(tmp_path / "x.duckdb", "FROM kinds") == [row, (None,) * 6]
    kinds = [one[1] for one in rows(tmp_path / "x.duckdb", "DESCRIBE kinds")]
    assert kinds == ["DATE", "TIMESTAMP", "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR"]


def test_a_time_with_an_offset_is_kept_in_utc(file, tmp_path):
    there = datetime(2024, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    file.fill("x", {"t": "datetime"}, iter([(there,), (there.astimezone(UTC),)]))
    assert rows(tmp_path / "x.duckdb", "FROM x") == [(datetime(2024, 1, 2, 1, 4),)] * 2


def test_what_others_have_put_there_stays(file, tmp_path):
    with closing(duckdb.connect(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 7 AS seven")
    file.fill("x", {"n": "integer"}, iter([(2,)]))
    assert rows(tmp_path / "x.duckdb", "SELECT seven, n FROM mine, x") == [(7, 2)]


def test_who_fills_waits_for_whoever_reads(file, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(duckdb_file, "BUSY_TIMEOUT_S", 0)
    with pytest.raises(DatabaseUnavailable, match="Conflicting lock"):
        file.fill("x", {"n": "integer"}, iter([(2,)]))
    monkeypatch.setattr(duckdb_file, "BUSY_TIMEOUT_S", 30)
    monkeypatch.setattr("time.sleep", lambda _: reader.stdin.close())
    assert file.fill("x", {"n": "integer"}, iter([(2,)])) == 1
    assert file.has_table("x")


def test_views_and_schemas_are_copied_too(file, tmp_path):
    with closing(duckdb.connect(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE SCHEMA s; CREATE TABLE s.t (a DECIMAL(9, 2), b STRUCT(c INTEGER))")
        connection.execute("CREATE VIEW v AS SELECT n AS m FROM x")
    assert file.copy_empty(tmp_path / "copy", ("s", "t"), None) == ("a", "b")
    assert file.copy_empty(tmp_path / "copy", ("main", "v"), None) == ("m",)
    kinds = [one[1] for one in rows(tmp_path / "copy", "DESCRIBE s.t")]
    assert kinds == ["DECIMAL(9,2)", "STRUCT(c INTEGER)"]


def test_a_view_that_reads_a_file_is_not_followed(file, tmp_path):
    (tmp_path / "secret.csv").write_text("word\nhush\n")
    with closing(duckdb.connect(tmp_path / "x.duckdb")) as connection:
        connection.execute(f"CREATE VIEW v AS FROM read_csv('{tmp_path / 'secret.csv'}')")
    with pytest.raises(DatabaseUnavailable, match="disabled"):
        file.copy_empty(tmp_path / "copy", ("main", "v"), None)
