"""Rows of a query, as JSON takes them. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from shared.errors import QueryFailed

MAX_ROWS = 50_000
MAX_BYTES = 64 * 1024 * 1024
EXACT_DIGITS = 15  # that a double, which is what JSON readers make of a number, keeps


@dataclass(frozen=True, slots=True)
class Rows:
    """`data` holds one {column: JSON value} a row."""

    colnames: tuple[str, ...]
    data: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {"colnames": list(self.colnames), "data": self.data, "rowcount": len(self.data)}

    def as_text(self) -> bytes:
        """JSON text, as they are kept."""
        return json.dumps(self.as_json(), ensure_ascii=False, separators=(",", ":")).encode()


def collect(colnames: Sequence[str], records: Iterable[Sequence[Any]]) -> Rows:
    """Raises QueryFailed for more rows or bytes than a page can draw, and for two columns of one name."""
    repeated = sorted({name for name in colnames if list(colnames).count(name) > 1})
    if repeated:
        raise QueryFailed(f"The query has several columns named {repeated[0]!r}; give each its own alias.")
    data: list[dict[str, Any]] = []
    size = 0
    for record in records:
        if len(data) == MAX_ROWS:
            raise QueryFailed(f"The query has more than {MAX_ROWS:,} rows; aggregate it or add a LIMIT.")
        row = {name: jsonable(value) for name, value in zip(colnames, record, strict=True)}
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if size > MAX_BYTES:
            raise QueryFailed(f"The query has more than {MAX_BYTES // 2**20} MiB of text; select less.")
        data.append(row)
    return Rows(tuple(colnames), data)


def jsonable(value: Any) -> Any:
    """Decimals become numbers where exact, NaN and infinity null, dates ISO text, durations seconds, bytes hex."""
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return _decimal(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case dict():
            return {str(name): jsonable(item) for name, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case _:
            return str(value)  # UUIDs, network addresses, ranges: their text is what people know them by


def _decimal(value: Decimal) -> int | float | str | None:
    if not value.is_finite():
        return None
    if len(value.normalize().as_tuple().digits) > EXACT_DIGITS:
        return str(value)
    return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
