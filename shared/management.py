"""RabbitMQ's management API: what AMQP does not tell of a queue. Nothing depends on it; without it there are gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import structlog

from shared.errors import BrokerUnavailable
from shared.settings import Settings

log = structlog.get_logger(__name__)
TIMEOUT_S = 2.0
COLUMNS = "name,messages_unacknowledged,message_stats.publish_details.rate,message_stats.ack_details.rate"

_UNUSABLE = (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one queue. None: the API did not tell."""

    unacked: int | None = None
    published_per_s: float | None = None
    acked_per_s: float | None = None


class Management:
    """At `broker_management_url`, with the user, password and virtual host of `broker_url`."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.broker_url)
        vhost = unquote(parts.path.removeprefix("/")) or "/"
        self._url = f"{settings.broker_management_url}/api/queues/{quote(vhost, safe='')}"
        self._login = (unquote(parts.username or "guest"), unquote(parts.password or "guest"))

    def rates(self) -> dict[str, Rates]:
        """By queue name; empty, with a line in the log, when the API does not answer."""
        try:
            return self._ask()
        except _UNUSABLE as error:
            log.warning("management_api_unusable", error=type(error).__name__)
            return {}

    def check(self) -> str:
        """One line on what it tells. Raises BrokerUnavailable."""
        try:
            return f"tells of {len(self._ask())} queues"
        except httpx.HTTPStatusError as error:
            raise BrokerUnavailable(f"{self._url} answers {error.response.status_code}.") from error
        except _UNUSABLE as error:
            raise BrokerUnavailable(f"{self._url} is of no use: {type(error).__name__}.") from error

    def _ask(self) -> dict[str, Rates]:
        answer = httpx.get(self._url, params={"columns": COLUMNS}, auth=self._login, timeout=TIMEOUT_S)
        answer.raise_for_status()
        return {one["name"]: _rates(one) for one in answer.json()}


def _rates(one: dict[str, Any]) -> Rates:
    stats = one.get("message_stats") or {}
    return Rates(
        one.get("messages_unacknowledged"),
        (stats.get("publish_details") or {}).get("rate"),
        (stats.get("ack_details") or {}).get("rate"),
    )
