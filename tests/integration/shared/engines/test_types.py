"""What a database holds comes out of its engine unchanged: any values of each type, nulls among them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.shared.engines.conftest import ENGINES, Sample

EXAMPLES = 40


@dataclass(frozen=True)
class Kind:
    """A type of a database: its values, and the SQL that makes one."""

    values: st.SearchStrategy[Any]
    sql: Callable[[Any], str]
    null: str = "NULL"
    told: Callable[[Any], Any] = lambda value: value  # as Python shows it


def whole(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda number: Decimal(f"{number}e-{scale}"))


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def cast(name: str) -> Callable[[Any], str]:
    return lambda value: f"CAST({quoted(str(value))} AS {name})"


def kind(name: str, values: st.SearchStrategy[Any], **more: Any) -> Kind:
    """One that its text, cast, makes."""
    return Kind(values, cast(name), f"CAST(NULL AS {name})", **more)


TEXTS = st.text(st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]), max_size=30)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
RECENT = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31))  # what MariaDB holds
ZONES = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(-dt.timedelta(hours=8))])
ZONED = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2037, 12, 31), timezones=ZONES)
BYTES = st.binary(max_size=30)


def in_utc(value: dt.datetime) -> dt.datetime:
    return value.astimezone(dt.UTC)


KINDS: dict[str, dict[str, Kind]] = {
    "sqlite": {
        "integer": Kind(whole(64), lambda value: f"({value + 1} - 1)" if value == -(2**63) else str(value)),
        "real": Kind(FINITE, lambda value: f"CAST({quoted(repr(value))} AS REAL)"),
        "text": Kind(TEXTS, quoted),
        "blob": Kind(BYTES, lambda value: f"x'{value.hex()}'"),
    },
    "postgresql": {
        "boolean": kind("boolean", st.booleans()),
        "int2": kind("int2", whole(16)),
        "int4": kind("int4", whole(32)),
        "int8": kind("int8", whole(64)),
        "numeric(38,10)": kind("numeric(38,10)", decimals(38, 10)),
        "numeric": kind("numeric", decimals(60, 20)),
        "float8": kind("float8", FLOATS),
        "text": kind("text", TEXTS),
        "bytea": Kind(BYTES, lambda value: f"'\\x{value.hex()}'::bytea", "NULL::bytea"),
        "date": kind("date", DATES),
        "time": kind("time", st.times()),
        "timestamp": kind("timestamp", TIMES),
        "timestamptz": kind("timestamptz", ZONED, told=in_utc),
        "int8[]": Kind(
            st.lists(st.none() | whole(64), min_size=1, max_size=4),
            lambda values: f"ARRAY[{', '.join('NULL' if v is None else quoted(str(v)) for v in values)}]::int8[]",
            "NULL::int8[]",
        ),
        "uuid": kind("uuid", st.uuids(), told=str),
    },
    "duckdb": {
        "boolean": kind("BOOLEAN", st.booleans()),
        "tinyint": kind("TINYINT", whole(8)),
        "bigint": kind("BIGINT", whole(64)),
        "ubigint": kind("UBIGINT", whole(64, signed=False)),
        "hugeint": kind("HUGEINT", st.integers(-(10**37), 10**37), told=Decimal),
        "decimal(38,10)": kind("DECIMAL(38,10)", decimals(38, 10)),
        "double": kind("DOUBLE", FLOATS),
        "varchar": kind("VARCHAR", TEXTS),
        "blob": Kind(BYTES, lambda value: f"from_hex('{value.hex()}')", "NULL::BLOB"),
        "date": kind("DATE", DATES),
        "time": kind("TIME", st.times()),
        "timestamp": kind("TIMESTAMP", TIMES),
        "timestamptz": kind("TIMESTAMPTZ", ZONED, told=in_utc),
        "struct of list": Kind(
            st.lists(whole(32), max_size=4),
            lambda values: f"{{'n': {len(values)}, 'all': {values}::INTEGER[]}}",
            'NULL::STRUCT(n INTEGER, "all" INTEGER[])',
            told=lambda values: {"n": len(values), "all": values},
        ),
    },
    "mariadb": {
        "signed": kind("SIGNED", whole(64)),
        "unsigned": kind("UNSIGNED", whole(64, signed=False)),
        "decimal(38,10)": kind("DECIMAL(38,10)", decimals(38, 10)),
        "decimal(65,20)": kind("DECIMAL(65,20)", decimals(60, 20)),
        "double": Kind(FINITE.filter(lambda value: not 0 < abs(value) < 1e-300), lambda value: f"({value!r} + 0e0)"),
        "char": kind("CHAR", TEXTS),
        "binary": Kind(BYTES, lambda value: f"x'{value.hex()}'", "CAST(NULL AS BINARY)"),
        "date": kind("DATE", RECENT.map(dt.datetime.date)),
        "datetime(6)": kind("DATETIME(6)", RECENT),
    },
}


def same(came: Any, meant: Any) -> bool:
    if isinstance(meant, float) and isinstance(came, float):
        return (math.isnan(came) and math.isnan(meant)) or came == meant
    return type(came) is type(meant) and came == meant


@pytest.mark.parametrize(("sample", "name"), [(e, name) for e in ENGINES for name in KINDS[e]], indirect=["sample"])
def test_values_of_every_type_come_out_as_they_are(sample: Sample, name: str) -> None:
    engine = sample.engine.dialect.name.lower().replace("mysql", "mariadb")
    one = KINDS[engine][name]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(st.none() | one.values, min_size=1, max_size=5).filter(lambda values: values.count(None) < 5))
    def check(values: list[Any]) -> None:
        said = [one.null if value is None else one.sql(value) for value in values]
        sql = " UNION ALL ".join(f"SELECT {number} AS number, {words} AS value" for number, words in enumerate(said))
        rows = sample.rows(f"SELECT number, value FROM ({sql}) AS made ORDER BY number")
        came = [row["value"] for row in rows]
        meant = [None if value is None else one.told(value) for value in values]
        assert all(map(same, came, meant)), (came, meant, said)

    check()
