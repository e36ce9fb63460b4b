"""Rows as CSV, Arrow IPC and Parquet, a piece at a time; other programs read them."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest

from shared.errors import InvalidInput
from shared.results import exports
from tests.unit.shared.results.conftest import rows

BATCH = pa.record_batch(
    {
        "n": pa.array([1, None], pa.int64()),
        "dec": pa.array([Decimal("-12345678901234567890.5"), None], pa.decimal128(38, 1)),
        "f": pa.array([math.nan, None]),
        "when": pa.array([datetime(2026, 3, 29, 1, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
        "day": pa.array([date(1, 2, 3), None]),
        "took": pa.array([timedelta(seconds=1), None], pa.duration("us")),
        "blob": pa.array([b"\x00\xff", None]),
        "list": pa.array([[Decimal("1.5"), None], None], pa.list_(pa.decimal128(5, 1))),
        "map": pa.array([[("ä", 1)], None], pa.map_(pa.string(), pa.int64())),
        "text": pa.array(['"Ünï",\n日本', ""]),
        "yes": pa.array([True, None]),
        "nothing": pa.nulls(2),
    }
)
TEXTS = {
    "n": "1",
    "dec": "-12345678901234567890.5",
    "f": "nan",
    "when": "2026-03-29 03:00:00.000000+0200",
    "day": "0001-02-03",
    "took": "1000000",
    "blob": "AP8=",
    "list": '["1.5", null]',
    "map": '[["ä", 1]]',
    "text": '"Ünï",\n日本',
    "yes": "true",
    "nothing": "",
}


def read(pieces: Iterator[bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8"), newline="")))


def test_csv_holds_every_type_as_text() -> None:
    first, second = read(exports.csv([BATCH]))
    assert first == TEXTS
    assert second == dict.fromkeys(TEXTS, "")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" \t=cmd()", "' \t=cmd()"),
        ("-5.50", "-5.50"),
        ("+1e3", "+1e3"),
        ("-5+cmd()", "'-5+cmd()"),
        ("-5\n=cmd()", "'-5\n=cmd()"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str, written: str) -> None:
    (row,) = read(exports.csv([pa.record_batch({"=x": [text], "n": [1]})]))
    assert row == {"'=x": written, "n": "1"}


def test_arrow_and_parquet_hold_the_same_values() -> None:
    batches = [BATCH, BATCH.slice(1), BATCH.slice(0, 0)]
    expected = pa.Table.from_batches(batches)
    for back in (
        pa.ipc.open_stream(b"".join(exports.arrow_ipc(batches))).read_all(),
        pa.parquet.read_table(io.BytesIO(b"".join(exports.parquet(batches)))),
    ):
        assert back.schema.names == expected.schema.names
        assert repr(back.to_pylist()) == repr(expected.to_pylist())


@pytest.mark.parametrize("export", [exports.csv, exports.arrow_ipc, exports.parquet])
def test_no_rows_are_a_whole_file(export) -> None:
    content = b"".join(export([rows(0)]))
    if export is exports.csv:
        assert content == b'"n","text"\n'
    elif export is exports.arrow_ipc:
        assert pa.ipc.open_stream(content).read_all().schema == rows(0).schema
    else:
        assert pa.parquet.read_table(io.BytesIO(content)).schema == rows(0).schema


@pytest.mark.parametrize("export", [exports.csv, exports.arrow_ipc, exports.parquet])
def test_each_batch_is_written_before_the_next_one_is_asked_for(export) -> None:
    asked = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(10):
            asked.append(number)
            yield rows(10_000, number * 10_000)

    pieces = export(batches())
    for number in range(10):
        assert len(next(pieces)) < 4 * rows(10_000).nbytes
        assert len(asked) == number + 1


def test_what_parquet_cannot_hold_is_named() -> None:
    odd = pa.record_batch({"gap": pa.array([pa.MonthDayNano([1, 2, 3])])})
    with pytest.raises(InvalidInput, match=r"month_day_nano.*Take Arrow"):
        list(exports.parquet([odd]))
    assert b"".join(exports.csv([odd]))
