"""Rows of a chart without waiting: Superset's asynchronous form of chart data, over the cache of chart data.

A ticket (the `cache_key`) names chart, dashboard and filters, is signed, and holds for whom it was issued to; what they
may see is looked up each time. No state is kept: any gateway answers, and a flight that died is set off again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from falcon import MEDIA_JSON
from falcon.asgi import Request, Response
from pydantic import ConfigDict, Field

from services.api import documents
from services.api.authentication import principal_of
from services.api.inputs import MAX_ID_DIGITS, read_object
from services.api.resources.data import PRIVATE
from services.api.services import Services
from services.api.uses import Opening, note_rows
from shared.catalog.queries import DataQuery
from shared.chart_data import Answer, Came
from shared.errors import InvalidInput, NotFound
from shared.identity import Principal
from shared.store.data import Entry
from shared.targets import canonical_json
from shared.warmup.inputs import Form, fill

MAX_TICKET_CHARACTERS = 4000
MAC_BYTES = 16


class ChartDataForm(Form):
    """Superset's query context. The chart is its `form_data.slice_id`: its query is its own, not the client's."""

    model_config = ConfigDict(extra="forbid")

    form_data: dict[str, Any]
    force: bool = False
    data_mask: dict[str, Any] = Field(default_factory=dict)  # ours: the filters of the dashboard
    datasource: Any = None
    queries: Any = None
    result_format: str = Field("json", pattern="^json$")
    result_type: str = Field("full", pattern="^full$")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was asked for; `since`: rows whose query was sent after that (Unix seconds), 0: any that are fresh.

    `asked_at`: rows whose query was sent after that will do though they are fresh no more, or never were.
    """

    chart_id: str
    dashboard_id: str | None
    data_mask: dict[str, Any]
    since: float
    job_id: str
    asked_at: float = 0.0  # 0: a ticket of the version before

    def sealed(self, secret: str, username: str) -> str:
        """Raises InvalidInput for filters that do not fit into a URL."""
        parts = [self.chart_id, self.dashboard_id, self.data_mask, self.since, self.job_id, self.asked_at]
        packed = zlib.compress(canonical_json(parts).encode())
        ticket = base64.urlsafe_b64encode(_mac(secret, username, packed) + packed).decode().rstrip("=")
        if len(ticket) > MAX_TICKET_CHARACTERS:
            raise InvalidInput(
                "data_mask is too large for this route; GET the chart's data instead.", field="data_mask"
            )
        return ticket

    @classmethod
    def open(cls, text: str, secret: str, username: str) -> Ticket:
        """Raises NotFound for one that is none, or somebody else's."""
        try:
            sealed = base64.urlsafe_b64decode(text[:MAX_TICKET_CHARACTERS] + "=" * (-len(text) % 4))
            mac, packed = sealed[:MAC_BYTES], sealed[MAC_BYTES:]
            if hmac.compare_digest(mac, _mac(secret, username, packed)):
                return cls(*json.loads(zlib.decompress(packed)))
        except (ValueError, TypeError, zlib.error):  # TypeError: a newer version's, with more parts
            pass
        raise NotFound("There is no such chart data.")


def _mac(secret: str, username: str, packed: bytes) -> bytes:
    named = b"vitrine chart data\0" + username.encode() + b"\0" + packed
    return hmac.new(secret.encode(), named, hashlib.sha256).digest()[:MAC_BYTES]


class ChartData:
    """POST /api/v1/chart/data: 200 when the rows are fresh in the store, else 202 with where they will be."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        form = fill(ChartDataForm, await read_object(req))
        chart_id = _id(form.form_data, "slice_id")
        dashboard_id = _id(form.form_data, "dashboardId") if form.form_data.get("dashboardId") is not None else None
        now = datetime.now(UTC).timestamp()
        since, job_id = now if form.force else 0.0, secrets.token_urlsafe(12)
        ticket = Ticket(chart_id, dashboard_id, form.data_mask, since, job_id, asked_at=now)
        await _answer(self._services, req, ticket, resp)


class ChartDataLater:
    """GET /api/v1/chart/data/{cache_key}: 200 with the rows, 202 while they are read, else how the query failed."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, cache_key: str) -> None:
        secret = self._services.settings.secret_key.get_secret_value()
        await _answer(self._services, req, Ticket.open(cache_key, secret, principal_of(req).username), resp)


async def _answer(services: Services, req: Request, ticket: Ticket, resp: Response) -> None:
    catalog, principal = services.catalog, principal_of(req)
    query = await services.blocking(
        catalog.chart_query, principal, ticket.chart_id, ticket.dashboard_id, ticket.data_mask
    )
    resp.set_headers(PRIVATE)
    entry = await catalog.data.peek(query)
    if entry is not None and _will_do(entry, ticket):
        answer = Answer(entry, Came.HIT)
        opening = Opening(ticket.chart_id, ticket.dashboard_id, ticket.data_mask)
        note_rows(services, req, opening, query.key, answer)
        resp.data = documents.rows(answer, query)
        resp.content_type = MEDIA_JSON
        return
    # Rows that are never fresh are those that another gateway reads for this ticket: they need no second query.
    since = ticket.since or (ticket.asked_at if query.ttl_s <= 0 else 0.0)
    await catalog.data.set_off(query, newer_than=datetime.fromtimestamp(since, UTC) if since else None)
    resp.status = 202
    resp.set_header("Retry-After", str(services.settings.retry_after_s))
    resp.media = _accepted(services, principal, ticket, query)


def _will_do(entry: Entry, ticket: Ticket) -> bool:
    if ticket.since:
        return entry.began_at.timestamp() >= ticket.since
    if entry.is_fresh(datetime.now(UTC)):
        return True
    return 0.0 < ticket.asked_at <= entry.began_at.timestamp()


def _accepted(services: Services, principal: Principal, ticket: Ticket, query: DataQuery) -> dict[str, Any]:
    """Superset's keys; the channel is the person's."""
    cache_key = ticket.sealed(services.settings.secret_key.get_secret_value(), principal.username)
    return {
        "channel_id": principal.username,
        "job_id": ticket.job_id,
        "user_id": principal.username,
        "status": "pending",
        "errors": [],
        "result_url": f"/api/v1/chart/data/{cache_key}",
        "cache_key": query.key,
    }


def _id(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, bool) or not str(value).isdecimal() or len(str(value)) > MAX_ID_DIGITS:
        raise InvalidInput(f"form_data.{name} must be the number of one.", field=f"form_data.{name}")
    return str(int(str(value)))
