"""A dashboard's view state from a request: checked against the dashboard, and canonical: equal views share a picture.

The rules are those of the page itself (pages/static/js/state.js, mask.js): what it would refuse to draw is refused
here, with the field named. Superset's dataMask entries may carry more than the value; only the value counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.api.inputs import read_object_field, read_string, read_strings
from shared.catalog import filters
from shared.errors import InvalidInput
from shared.targets import ViewState

FIELDS = ("dataMask", "activeTabs", "anchor", "urlParams")
MAX_URL_PARAMS = 50
MAX_URL_PARAM_CHARACTERS = 2000


def view_state(body: Mapping[str, Any], controls: Mapping[str, Any] | None) -> ViewState:
    """`controls`: the dashboard's `tabs` and `filters`; None: its page alone knows them, and only forms are checked.

    Raises InvalidInput that names the field (`dataMask.region`).
    """
    values = dict(body)
    if controls is None:
        tabs_asked, anchor = read_strings(values, "activeTabs"), read_string(values, "anchor")
        return ViewState.of(read_object_field(values, "dataMask"), tabs_asked, anchor, _url_params(values))
    tabs: Sequence[Mapping[str, Any]] = controls.get("tabs") or []
    mask = _data_mask(values.get("dataMask"), controls.get("filters") or [])
    return ViewState.of(mask, _tabs(values, tabs), _anchor(values, tabs), _url_params(values))


def refuse_unknown(body: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in body:
        if name not in known:
            raise InvalidInput(f"{name!r} is no field of this request; known: {', '.join(known)}.", field=name)


def _data_mask(mask: Any, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Checked as the catalog will check it when the rows are read; then cut down to what makes a difference."""
    if mask is None:
        return {}
    filters.conditions(
        [{**entry, "dataset": entry["id"]} for entry in entries], mask
    )  # raises; its result is not needed
    defaults = {entry["id"]: entry.get("default") or None for entry in entries}
    types = {entry["id"]: entry["type"] for entry in entries}
    canonical = {}
    for name, entry in mask.items():
        value = (entry.get("filterState") or {}).get("value") or None
        if value is not None and None in value and types[name] != "range":
            raise InvalidInput(f"dataMask.{name}: a value must not be null.", field=f"dataMask.{name}")
        if value is not None or defaults[name] is not None:  # else: switched off, as it is by itself
            canonical[name] = {"filterState": {"value": value}}
    return canonical


def _tabs(values: dict[str, Any], tabs: Sequence[Mapping[str, Any]]) -> list[str]:
    asked = sorted(set(read_strings(values, "activeTabs")))
    known = {tab.get("id") for tab in tabs} - {""}
    for tab in asked:
        if tab not in known:
            raise InvalidInput(f"There is no tab {tab!r} on this dashboard.", field="activeTabs")
    if len(asked) > 1:
        raise InvalidInput("Only one tab can be active.", field="activeTabs")
    return asked


def _anchor(values: dict[str, Any], tabs: Sequence[Mapping[str, Any]]) -> str:
    anchor = read_string(values, "anchor")
    if not anchor:
        return ""
    cells = [cell for tab in tabs for row in tab.get("rows") or [] for cell in row]
    places = {tab.get("id") for tab in tabs} | {f"chart-{cell['chart']}" for cell in cells if "chart" in cell}
    if anchor not in places:
        raise InvalidInput(f"There is nothing called {anchor!r} on this dashboard.", field="anchor")
    return anchor


def _url_params(values: dict[str, Any]) -> list[list[str]]:
    params = values.get("urlParams")
    if params is None:
        return []
    if not isinstance(params, list) or len(params) > MAX_URL_PARAMS:
        raise InvalidInput(f"urlParams must be a list of at most {MAX_URL_PARAMS} pairs.", field="urlParams")
    for pair in params:
        if not isinstance(pair, list) or len(pair) != 2 or not all(_is_short_text(part) for part in pair):
            raise InvalidInput("urlParams must be a list of [name, value] pairs of texts.", field="urlParams")
    return params


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_URL_PARAM_CHARACTERS
