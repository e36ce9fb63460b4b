"""What SQLite's columns become: a column has no type, each value of it has."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from shared.engines.batches import Settle

EXACT = 2**53  # up to which a double holds every integer
_CLASSES = ("integer", "real", "text", "blob")


class Classes(NamedTuple):
    """Which storage classes the values of a column have; `large`: an integer that no double holds."""

    integer: bool
    real: bool
    text: bool
    blob: bool
    large: bool


class Types:
    """Settles the columns of one query: by their values where these are few, else by asking SQLite once about all."""

    def __init__(self, connection: sqlite3.Connection, sql: str, count: int) -> None:
        self._connection = connection
        self._sql = sql
        self._count = count
        self._asked: list[Classes] | None = None

    def settle(self, index: int) -> Settle:
        return lambda values, is_all: _type(_classes(values) if is_all else self._ask()[index])

    def _ask(self) -> list[Classes]:
        """Runs the query once more, for the classes of its values only, in the same transaction."""
        if self._asked is None:
            asked = [f"max(typeof(c) = '{kind}')" for kind in _CLASSES]
            asked.append(f"max(typeof(c) = 'integer' AND c NOT BETWEEN -{EXACT} AND {EXACT})")
            names = [f"c{index}" for index in range(self._count)]
            listed = ", ".join(
                one.replace("(c)", f"({name})").replace(" c ", f" {name} ") for name in names for one in asked
            )
            asking = f"WITH q({', '.join(names)}) AS ({self._sql}\n) SELECT {listed} FROM q"  # noqa: S608
            try:
                (found,) = self._connection.execute(asking).fetchall()
            except sqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise
                found = [1] * (len(asked) * self._count)  # no query, such as INSERT … RETURNING: whatever may come
            flags = iter(map(bool, found))
            self._asked = [Classes(*(next(flags) for _ in asked)) for _ in names]
        return self._asked


def _classes(values: Sequence[Any]) -> Classes:
    kinds = set(map(type, values))
    large = int in kinds and any(type(value) is int and abs(value) > EXACT for value in values)
    return Classes(int in kinds, float in kinds, str in kinds, bytes in kinds, large)


def _type(classes: Classes) -> pa.DataType:
    """The narrowest type that holds them all."""
    match classes:
        case Classes(real=False, text=False, blob=False, integer=True):
            return pa.int64()
        case Classes(text=False, blob=False, large=False, real=True):
            return pa.float64()
        case Classes(integer=False, real=False, text=False, blob=True):
            return pa.binary()
        case _:
            return pa.string()
