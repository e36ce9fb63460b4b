"""Tickets: what somebody asked for without waiting, signed, and good for nobody else. Nothing of one is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidInput, NotFound
from shared.targets import canonical_json

MAX_TICKET_CHARACTERS = 4000
MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was asked for; `since`: rows whose query was sent after that (Unix seconds), 0: any that are fresh.

    `job_id`: the client id of the query that reads them; of the version before, a text that names none. `asked_at`:
    rows whose query was sent after that will do though they are fresh no more, or never were.
    """

    chart_id: str
    dashboard_id: str | None
    data_mask: dict[str, Any]
    since: float
    job_id: str
    asked_at: float

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
        except (ValueError, TypeError, zlib.error):  # TypeError: another version's, with more or fewer parts
            pass
        raise NotFound("There is no such chart data.")


def _mac(secret: str, username: str, packed: bytes) -> bytes:
    named = b"vitrine chart data\0" + username.encode() + b"\0" + packed
    return hmac.new(secret.encode(), named, hashlib.sha256).digest()[:MAC_BYTES]
