"""Rows on a terminal or in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from shared.errors import InvalidInput
from shared.results import exports
from shared.sqllab.result_columns import plain

BINARY: dict[str, Callable[[Iterable[Any]], Iterator[bytes]]] = {
    "arrow": exports.arrow_ipc,
    "parquet": exports.parquet,
}
FORMATS = ("table", "csv", *BINARY)
WIDEST = 60  # characters of a cell


def check_output(format_: str, output: Path | None) -> None:
    """Raises InvalidInput for a format that there is not, or that a terminal cannot show."""
    if format_ not in FORMATS:
        raise InvalidInput(f"--format must be one of {', '.join(FORMATS)}.", field="format")
    if format_ in BINARY and output is None and sys.stdout.isatty():
        raise InvalidInput(f"--format {format_} is for a file: add --output FILE, or send it on.", field="output")
    if output is not None and not output.absolute().parent.is_dir():
        raise InvalidInput(f"--output: there is no folder {output.absolute().parent}.", field="output")


def write_rows(batches: Iterable[Any], format_: str, output: Path | None) -> None:
    """A batch at a time, but for a table."""
    pieces = BINARY.get(format_, exports.csv)(batches) if format_ != "table" else _table(batches)
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return
    with output.open("wb") as file:
        file.writelines(pieces)


def _table(batches: Iterable[Any]) -> Iterator[bytes]:
    names: list[str] = []
    rows: list[list[str]] = []
    for batch in batches:
        names = batch.schema.names
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        rows += [list(row) for row in zip(*columns, strict=True)]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, ["-" * width for width in widths], *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{line.rstrip()}\n".encode(errors="replace")


def _cell(value: Any) -> str:
    """On one line, without what a terminal would obey."""
    text = "NULL" if value is None else str(plain(value))
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
