import sqlite3
from contextlib import closing
from datetime import date, datetime

import duckdb
import pytest

from shared.catalog.sql import Dialect
from shared.catalog.yaml.seeding import FILLED, checksum, read_rows, table_file
from shared.errors import DatabaseUnavailable, InvalidInput

COLUMNS = {"d": "date", "t": "datetime", "b": "boolean", "i": "integer", "r": "real", "s": "text"}
HEADER = "s,i,r,d,t,b,extra\n"


def read(tmp_path, rows, columns=COLUMNS):
    (tmp_path / "x.csv").write_text(HEADER + rows)
    return list(read_rows(tmp_path / "x.csv", columns))


def test_cells_become_values_of_their_types(tmp_path):
    rows = read(tmp_path, "05,5,1e3,2024-01-02,2024-01-02 03:04,true,z\n,,,,,,\n")
    assert rows == [(date(2024, 1, 2), datetime(2024, 1, 2, 3, 4), True, 5, 1000.0, "05"), (None,) * 6]


@pytest.mark.parametrize(
    "row",
    [
        "a,x,1,,,,",
        "a,1.5,1,,,,",
        f"a,{2**63},1,,,,",
        "a,1,x,,,,",
        "a,1,1,01/02/2024,,,",
        "a,1,1,,noon,,",
        "a,1,1,,,maybe,",
    ],
)
def test_a_cell_of_another_type_is_refused_with_its_place(tmp_path, row):
    with pytest.raises(InvalidInput, match=r"x\.csv:3: [irdtb]: "):
        read(tmp_path, f"ok,1,1,,,,\n{row}\n")


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"s\n" + b"caf\xc3\xa9\n" * 9000 + b"caf\xe9\n")
    with pytest.raises(InvalidInput, match=r"x\.csv: after line \d{4} it is no CSV in UTF-8"):
        list(read_rows(tmp_path / "x.csv", {"s": "text"}))


def test_the_checksum_covers_file_and_types(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    one = checksum(file, {"a": "text"})
    assert checksum(file, {"a": "integer"}) != one
    file.write_text("a\n2\n")
    assert checksum(file, {"a": "text"}) != one


# --- files of each kind -----------------------------------------------------------------------------------------------


@pytest.fixture(params=FILLED)
def dialect(request):
    return request.param


@pytest.fixture
def file(dialect, tmp_path):
    return table_file(dialect, tmp_path / "new" / "x.db")


def rows_of(dialect, path, table="x"):
    connect = duckdb.connect if dialect is Dialect.DUCKDB else sqlite3.connect
    with closing(connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_a_filled_table_is_there(file):
    assert not file.has_table("x")
    assert file.fill("x", {"n": "integer"}, iter([(1,), (2,), (None,)])) == 3
    assert file.has_table("x")
    assert not file.has_table("y")


def test_a_failed_fill_keeps_the_old_rows(file, dialect, tmp_path):
    def rows():
        yield (2,)
        raise InvalidInput("x.csv:3")

    file.fill("x", {"n": "integer"}, iter([(1,)]))
    with pytest.raises(InvalidInput):
        file.fill("x", {"n": "text"}, rows())
    assert rows_of(dialect, tmp_path / "new" / "x.db") == [(1,)]


def test_another_fill_replaces_rows_and_types(file, dialect, tmp_path):
    file.fill("x", {"n": "integer"}, iter([(1,)]))
    assert file.fill("x", {"a": "text", "b": "real"}, iter([("ü", 0.5)] * 25_000)) == 25_000
    assert rows_of(dialect, tmp_path / "new" / "x.db") == [("ü", 0.5)] * 25_000


def test_only_its_owner_may_read_it(file, tmp_path):
    file.fill("x", {"n": "integer"}, iter([(1,)]))
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()] == [0o600]


def test_a_file_of_another_kind_is_unavailable(file, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "x.db").write_text("no database " * 500)
    with pytest.raises(DatabaseUnavailable):
        file.fill("x", {"n": "integer"}, iter(()))


def test_a_copy_has_the_declared_columns_or_those_of_the_file(file, dialect, tmp_path):
    assert file.copy_empty(tmp_path / "copy", ("main", "y"), None) == ()
    file.fill("x", {"n": "integer", "s": "text"}, iter([(1, "a")]))
    assert file.copy_empty(tmp_path / "copy", ("main", "x"), None) == ("n", "s")
    assert file.copy_empty(tmp_path / "copy", ("main", "y"), {"d": "date"}) == ("d",)
    assert file.copy_empty(tmp_path / "copy", ("main", "z"), None) == ()
    assert rows_of(dialect, tmp_path / "copy", "x") == rows_of(dialect, tmp_path / "copy", "y") == []


def test_a_table_with_one_column_twice_cannot_be_copied(file, tmp_path):
    with pytest.raises(InvalidInput, match="can have no such table"):
        file.copy_empty(tmp_path / "copy", ("main", "x"), {"a": "text", "A": "text"})
