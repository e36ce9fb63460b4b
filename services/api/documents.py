"""The JSON shapes of targets and statuses, spelled as Superset spells them. URLs are paths on the gateway's origin."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from services.api.access import Seen
from shared.catalog.queries import DataQuery
from shared.chart_data import Answer, Came
from shared.keys import content_hash
from shared.requests import Plan
from shared.store.pictures import State, Status
from shared.targets import Target, TargetKind


def thumbnail_digest(plan: Plan) -> str:
    """The digest of a thumbnail's URL: another content, executor or access is another URL."""
    return _digest(plan.key, plan.digest)


@lru_cache(maxsize=8192)  # on the hit path
def _digest(key: str, digest: str) -> str:
    return content_hash([key, digest])


def id_of(target: Target, default: str) -> str:
    """Its id in URLs (see inputs.target_of): plain for targets of the `default` catalog."""
    return target.id if target.catalog == default else f"{target.catalog}:{target.id}"


def thumbnail_url(plan: Plan, default: str) -> str:
    return f"/api/v1/{plan.target.kind}/{id_of(plan.target, default)}/thumbnail/{thumbnail_digest(plan)}/"


def screenshot_url(target: Target, default: str, cache_key: str) -> str:
    return f"/api/v1/{target.kind}/{id_of(target, default)}/screenshot/{cache_key}/"


@lru_cache(maxsize=8192)  # on the hit path
def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture is found: what every status document says besides the state."""

    cache_key: str
    page_url: str
    image_url: str


def status_document(target: Target, place: Place, state: State | None, *, timeout_s: float) -> dict[str, Any]:
    """Superset's five keys, `task_timeout_seconds`, `reason` and `code` of an Error, `deadline` of a running render."""
    running = state is not None and state.status in (Status.PENDING, Status.COMPUTING)
    return {
        "cache_key": place.cache_key,
        f"{target.kind}_url": place.page_url,
        "image_url": place.image_url,
        "task_updated_at": stamp(state.updated_at if state else datetime.now(UTC)),
        "task_status": (state.status if state else Status.UPDATED).value,
        "task_timeout_seconds": round(timeout_s),
        "reason": state.reason if state else "",
        "code": state.code if state else "",
        "deadline": stamp(state.deadline) if state and running else None,
    }


def retry_after_s(state: State, default_s: int, now: datetime) -> int:
    """When to ask again: for an Error, when a new render may start."""
    if state.status is Status.ERROR and state.retry_at is not None:
        return max(1, math.ceil((state.retry_at - now).total_seconds()))
    return default_s


def item(seen: Seen, names: Mapping[str, str], default: str) -> dict[str, Any]:
    """A target in a list; `names`: the full names of users; `default`: the catalog whose ids are plain."""
    info = seen.info
    title = "dashboard_title" if info.target.kind is TargetKind.DASHBOARD else "slice_name"
    return {
        "id": numeric(id_of(info.target, default)),
        title: info.title,
        "url": info.url,
        "thumbnail_url": thumbnail_url(seen.plan, default) if seen.plan else None,
        "changed_on_utc": stamp(info.changed_on),
        "changed_by": info.ownership.changed_by,
        "tags": [{"name": tag} for tag in info.tags],
        "owners": [{"username": owner, "name": names.get(owner, owner)} for owner in info.ownership.owners],
        "description": info.description,
        "published": info.published,
    }


def rows(answer: Answer, query: DataQuery) -> bytes:
    """The answer with a chart's rows, as Superset's: the rows are JSON text already and are not parsed for it."""
    about = {
        "status": "success",
        "cache_key": query.key,
        "is_cached": answer.is_cached,
        "cached_dttm": stamp(answer.entry.computed_at) if answer.is_cached else None,
        "cache_timeout": query.ttl_s,
        "stale": answer.came is Came.STALE,
    }
    return b'{"result": [' + json.dumps(about).encode()[:-1] + b", " + answer.entry.body[1:] + b"]}"


def age_s(since: datetime) -> int:
    return max(0, int((datetime.now(UTC) - since).total_seconds()))


def numeric(target_id: str) -> int | str:
    """Native ids are numbers, as in Superset; other catalogs' are what they are."""
    return int(target_id) if target_id.isdecimal() else target_id


def file_name(title: str, target: Target, extension: str) -> str:
    """A plain file name: letters, digits and single dashes of the title, the kind and id."""
    words = "".join(char if char.isascii() and char.isalnum() else "-" for char in title.lower())
    slug = "-".join(part for part in words.split("-") if part)[:60].strip("-")
    return f"{slug or target.kind.value}-{target.kind}-{target.id}.{extension}"
