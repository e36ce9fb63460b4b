import sqlite3
from contextlib import closing
from datetime import date, datetime

from shared.catalog.yaml.sqlite_file import SqliteFile


def test_dates_and_times_are_text_that_sorts(tmp_path):
    columns = {"d": "date", "t": "datetime", "b": "boolean"}
    SqliteFile(tmp_path / "x").fill("x", columns, iter([(date(2024, 1, 2), datetime(2024, 1, 2, 3, 4), True)]))
    with closing(sqlite3.connect(tmp_path / "x")) as connection:
        assert connection.execute("SELECT * FROM x").fetchall() == [("2024-01-02", "2024-01-02T03:04:00", 1)]
