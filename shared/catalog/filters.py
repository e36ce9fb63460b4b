"""Native filters: from a view state's dataMask to conditions on rows. Pure.

A dataMask is Superset's: {filter id: {"filterState": {"value": …}, …}}. A filter that the mask does not name has its
default; one that it names with null or an empty list is off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlglot import exp

from shared.errors import InvalidInput

MAX_VALUES = 1000  # of one select filter
MAX_TEXT_CHARACTERS = 10_000


def conditions(filters: Sequence[Mapping[str, Any]], mask: Mapping[str, Any] | None) -> dict[str, list[exp.Expr]]:
    """{dataset: conditions over its columns}.

    Raises InvalidInput, whose field names the filter, for a mask that does not fit the dashboard's filters.
    """
    entries = _entries(filters, mask)
    made: dict[str, list[exp.Expr]] = {}
    for definition in filters:
        value = entries[definition["id"]] if definition["id"] in entries else definition.get("default")
        found = _condition(definition, value)
        if found is not None:
            made.setdefault(definition["dataset"], []).append(found)
    return made


def _entries(filters: Sequence[Mapping[str, Any]], mask: Mapping[str, Any] | None) -> dict[str, Any]:
    if mask is not None and not isinstance(mask, Mapping):
        raise InvalidInput("dataMask must be an object of filter ids.", field="dataMask")
    known = [definition["id"] for definition in filters]
    entries = {}
    for name, entry in (mask or {}).items():
        field = f"dataMask.{name}"
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InvalidInput(f"There is no filter {name!r} on this dashboard; it has: {allowed}.", field=field)
        if not isinstance(entry, Mapping):
            raise InvalidInput(f"{field} must be an object with filterState.", field=field)
        state = entry.get("filterState") or {}
        if not isinstance(state, Mapping):
            raise InvalidInput(f"{field}.filterState must be an object.", field=field)
        entries[name] = state.get("value")
    return entries


def _condition(definition: Mapping[str, Any], value: Any) -> exp.Expr | None:
    field = f"dataMask.{definition['id']}"
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise InvalidInput(f"The value of filter {definition['id']!r} must be a list.", field=field)
    column = exp.column(exp.to_identifier(definition["column"], quoted=True))
    if definition["type"] == "range":
        return _range(column, value, field)
    return _select(column, value, field, multiple=bool(definition.get("multiple", True)))


def _select(column: exp.Column, values: list[Any], field: str, *, multiple: bool) -> exp.Expr:
    if len(values) > MAX_VALUES or (len(values) > 1 and not multiple):
        limit = MAX_VALUES if multiple else 1
        raise InvalidInput(f"{field} takes at most {limit} value{'s' * (limit > 1)}, not {len(values)}.", field=field)
    literals = [_literal(value, field) for value in values if value is not None]
    found: exp.Expr | None = exp.In(this=column, expressions=literals) if literals else None
    if None in values:
        empty = exp.Is(this=column.copy(), expression=exp.Null())
        found = exp.or_(found, empty) if found is not None else empty
    assert found is not None  # values is not empty
    return found


def _range(column: exp.Column, bounds: list[Any], field: str) -> exp.Expr | None:
    if len(bounds) != 2:
        raise InvalidInput(f"{field} must be [min, max]; either may be null.", field=field)
    kinds = {type(_bound(bound, field)) for bound in bounds if bound is not None}
    if len(kinds & {str}) and len(kinds) > 1:
        raise InvalidInput(f"{field} must have two numbers or two ISO dates.", field=field)
    low, high = bounds
    parts: list[exp.Expr] = []
    if low is not None:
        parts.append(exp.GTE(this=column.copy(), expression=_literal(low, field)))
    if high is not None:
        parts.append(_at_most(column.copy(), high, field))
    return exp.and_(*parts) if parts else None


def _at_most(column: exp.Column, high: Any, field: str) -> exp.Expr:
    """A day as the upper bound means all of that day, also when the column holds times."""
    if isinstance(high, str) and len(high) == len("2000-01-01"):
        day = date.fromisoformat(high)
        if day < date.max:
            return exp.LT(this=column, expression=_literal((day + timedelta(days=1)).isoformat(), field))
    return exp.LTE(this=column, expression=_literal(high, field))


def _bound(value: Any, field: str) -> int | float | str:
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise InvalidInput(f"{field}: {value!r} is neither a number nor an ISO date such as 2024-12-31.", field=field)


def _literal(value: Any, field: str) -> exp.Expr:
    """The value as a literal of the tree: it never becomes part of a text by our hand."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int) and abs(value) < 2**63:
        return exp.convert(value)
    if isinstance(value, float) and math.isfinite(value):
        return exp.convert(value)
    if isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and _is_text(value):
        return exp.Literal.string(value)
    raise InvalidInput(f"{field}: a value must be text, a finite number, true, false or null.", field=field)


def _is_text(value: str) -> bool:
    """Whether databases can hold it: no NUL, no half of a surrogate pair."""
    return "\0" not in value and value.encode(errors="replace").decode() == value
