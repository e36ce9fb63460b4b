"""Superset's lists, row by row: what is asked for, and what it means to us. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.catalog.port import TargetInfo
from shared.identity import Ownership
from shared.keys import content_hash
from shared.targets import Target, TargetKind

NAME = "superset"
_COMMON = ("id", "url", "changed_on_utc", "thumbnail_url", "owners.id", "changed_by.id", "created_by.id")
_TAGS = ("tags.name", "tags.type")
COLUMNS: Mapping[TargetKind, Sequence[str]] = {
    TargetKind.DASHBOARD: (*_COMMON, *_TAGS, "dashboard_title", "published", "certified_by"),
    TargetKind.CHART: (*_COMMON, *_TAGS, "slice_name", "description", "datasource_id"),
}
OWN_TAG = 1  # of Superset's TagType: given by people; the others are implicit, such as `owner:1`


def info_of(kind: TargetKind, row: Mapping[str, Any], name_of: Callable[[int], str | None]) -> TargetInfo:
    """`name_of`: Superset's id of a user → user name."""
    return TargetInfo(
        target=Target(NAME, kind, str(row["id"])),
        title=str(row.get("dashboard_title") or row.get("slice_name") or ""),
        url=str(row.get("url") or ""),
        ownership=Ownership(
            owners=tuple(name for owner in row.get("owners") or [] if (name := name_of(owner["id"]))),
            created_by=_name(row.get("created_by"), name_of),
            changed_by=_name(row.get("changed_by"), name_of),
        ),
        description=str(row.get("description") or ""),
        published=bool(row.get("published", True)),
        tags=tuple(tag["name"] for tag in row.get("tags") or [] if tag.get("type") in (OWN_TAG, None)),
        changed_on=changed_on(row),
    )


def changed_on(row: Mapping[str, Any]) -> datetime | None:
    text = row.get("changed_on_utc")
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def chart_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """A chart as its dashboard tells of it, in the words of the charts' list."""
    number = str((told.get("form_data") or {}).get("datasource") or "").partition("__")[0]  # "12__table", "None__None"
    return {
        "id": told["id"],
        "slice_name": told.get("slice_name"),
        "changed_on_utc": told.get("changed_on"),
        "datasource_id": int(number) if number.isdecimal() else None,
    }


def digest(row: Mapping[str, Any], charts: Sequence[Mapping[str, Any]], datasets: Mapping[int, str]) -> str:
    """Superset's own digest, which is at the end of `thumbnail_url`, joined with what it leaves out: when the charts of
    a dashboard and the datasets of a chart (`datasets`: id → changed on) last changed, and the title.
    """
    url = str(row.get("thumbnail_url") or "")
    return content_hash(
        {
            "superset": url.rstrip("/").rsplit("/", 1)[-1] if url else row.get("changed_on_utc"),
            "title": row.get("dashboard_title") or row.get("slice_name"),
            "charts": sorted([chart["id"], chart.get("changed_on_utc")] for chart in charts),
            "datasets": sorted(datasets.items()),
        }
    )


def _name(user: Mapping[str, Any] | None, name_of: Callable[[int], str | None]) -> str | None:
    return name_of(user["id"]) if user else None
