import sqlite3
from contextlib import closing

import pytest

from shared.catalog.yaml.seeding import checksum, fill, has_table
from shared.errors import DatabaseUnavailable, InvalidInput

COLUMNS = {"d": "date", "t": "datetime", "b": "boolean", "i": "integer", "r": "real", "s": "text"}
HEADER = "s,i,r,d,t,b,extra\n"


def filled(tmp_path, rows, columns=COLUMNS):
    (tmp_path / "x.csv").write_text(HEADER + rows)
    fill(tmp_path / "new" / "x.sqlite", "x", tmp_path / "x.csv", columns)
    with closing(sqlite3.connect(tmp_path / "new" / "x.sqlite")) as connection:
        return connection.execute("SELECT * FROM x").fetchall()


def test_cells_become_values_of_their_types(tmp_path):
    rows = filled(tmp_path, "05,5,1e3,2024-01-02,2024-01-02 03:04,true,z\n,,,,,,\n")
    assert rows == [("2024-01-02", "2024-01-02T03:04:00", 1, 5, 1000.0, "05"), (None,) * 6]


@pytest.mark.parametrize(
    "row", ["a,x,1,,,,", "a,1.5,1,,,,", "a,1,x,,,,", "a,1,1,01/02/2024,,,", "a,1,1,,noon,,", "a,1,1,,,maybe,"]
)
def test_a_cell_of_another_type_is_refused_with_its_place(tmp_path, row):
    with pytest.raises(InvalidInput, match=r"x\.csv:3: [irdtb]: "):
        filled(tmp_path, f"ok,1,1,,,,\n{row}\n")


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"s\n" + b"caf\xc3\xa9\n" * 9000 + b"caf\xe9\n")
    with pytest.raises(InvalidInput, match=r"x\.csv: after line \d{4} it is no CSV in UTF-8"):
        fill(tmp_path / "x.sqlite", "x", tmp_path / "x.csv", {"s": "text"})


def test_a_failed_fill_keeps_the_old_rows(tmp_path):
    filled(tmp_path, "a,1,1,,,,\n")
    with pytest.raises(InvalidInput):
        filled(tmp_path, "b,2,2,,,,\nc,x,1,,,,\n")
    with closing(sqlite3.connect(tmp_path / "new" / "x.sqlite")) as connection:
        assert connection.execute("SELECT s FROM x").fetchall() == [("a",)]


def test_the_checksum_covers_file_and_types(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    one = checksum(file, {"a": "text"})
    assert checksum(file, {"a": "integer"}) != one
    file.write_text("a\n2\n")
    assert checksum(file, {"a": "text"}) != one


def test_a_file_that_cannot_be_written_is_unavailable(tmp_path):
    (tmp_path / "x.sqlite").write_text("no database " * 500)
    (tmp_path / "x.csv").write_text(HEADER)
    with pytest.raises(DatabaseUnavailable):
        fill(tmp_path / "x.sqlite", "x", tmp_path / "x.csv", COLUMNS)


def test_a_table_is_there_or_not(tmp_path):
    assert not has_table(tmp_path / "gone.sqlite", "x")
    filled(tmp_path, "")
    assert has_table(tmp_path / "new" / "x.sqlite", "x")
    assert not has_table(tmp_path / "new" / "x.sqlite", "y")
