"""Superset's log of views: what is popular. What our own renders wrote there is left out, or they would feed it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.catalog.superset.client import Client, Credential
from shared.catalog.superset.pages import RENDER_PARAMETER
from shared.catalog.superset.rows import NAME
from shared.targets import Target, TargetKind

COLUMNS = ["action", "dttm", "json", "dashboard_id", "user.username"]


def popular(
    client: Client, reader: Credential, since: datetime, left_out: Collection[str]
) -> Sequence[tuple[Target, int]]:
    """Dashboards with their views since then, most viewed first. `left_out`: user names whose views do not count."""
    earliest = since.astimezone(UTC).replace(tzinfo=None)
    query = {
        "columns": COLUMNS,
        "filters": [
            {"col": "action", "opr": "eq", "value": "dashboard"},
            {"col": "dttm", "opr": "gt", "value": earliest.isoformat(timespec="seconds")},
        ],
    }
    views = Counter(
        str(row["dashboard_id"])
        for row in client.all("/api/v1/log/", reader, **query)
        if row.get("dashboard_id") and not _is_ours(row) and (row.get("user") or {}).get("username") not in left_out
    )
    return [(Target(NAME, TargetKind.DASHBOARD, number), count) for number, count in views.most_common()]


def _is_ours(row: Mapping[str, Any]) -> bool:
    """A page that a render opened says so in its address, which Superset logs."""
    try:
        return RENDER_PARAMETER in json.loads(row.get("json") or "{}")
    except ValueError:
        return False
