"""What tells of a running Vitrine: the broker's management API, the collector of traces, the processes' heartbeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx

from services.cli.checks.database import opened
from services.cli.checks.finding import Finding, ok, warn
from shared.errors import BrokerUnavailable
from shared.heartbeats import Alive, alive, our_version
from shared.management import Management
from shared.metadata.engine import sessions
from shared.settings import Settings

TIMEOUT_S = 5


def management(settings: Settings) -> Iterator[Finding]:
    """Nothing depends on it: what it does not tell is missing at /ops."""
    if settings.embedded or settings.broker_management_url is None:
        return
    try:
        yield ok("management", f"{settings.broker_management_url} {Management(settings).check()}")
    except BrokerUnavailable as error:
        mend = (
            "Correct VITRINE_BROKER_MANAGEMENT_URL, or give the broker's user the tag `monitoring`: "
            "rabbitmqctl set_user_tags USER monitoring. /ops lacks rates and messages in hand until then."
        )
        yield warn("management", error.message, mend)


def traces(settings: Settings) -> Iterator[Finding]:
    """The collector is sent an export without a span."""
    if settings.otlp_endpoint is None:
        return
    url = f"{settings.otlp_endpoint}/v1/traces"
    try:
        answer = httpx.post(
            url, content=b"", headers={"Content-Type": "application/x-protobuf"}, timeout=TIMEOUT_S, trust_env=False
        )
    except httpx.HTTPError as error:
        mend = "Start the collector, or correct VITRINE_OTLP_ENDPOINT; spans are lost until then, and nothing else."
        yield warn("traces", f"{url}: {error or type(error).__name__}", mend)
        return
    if answer.is_success:
        yield ok("traces", f"{url} takes spans")
    else:
        mend = "It must speak OTLP over HTTP (port 4318, not 4317); what it asks for, OTEL_EXPORTER_OTLP_HEADERS gives."
        yield warn("traces", f"{url} answers {answer.status_code}", mend)


def processes(settings: Settings) -> Iterator[Finding]:
    """Those that were heard within the last ten minutes."""
    with opened(settings) as engine:
        found = alive(sessions(engine))
    heard = Counter(one.service for one in found if not one.is_silent)
    if heard:
        yield ok("processes", ", ".join(f"{count} {service}" for service, count in sorted(heard.items())))
    for one in found:
        yield from _unwell(one)


def _unwell(one: Alive) -> Iterator[Finding]:
    name = f"process:{one.service}"
    place = f"process {one.pid} on {one.host}"
    if one.is_silent:
        mend = "It hangs, was killed, or does not reach the database: see its log. After ten minutes it is forgotten."
        yield warn(name, f"{place} was last heard {one.silent_s:.0f} s ago", mend)
    elif one.version != our_version():
        mend = "Finish the upgrade: start it anew with the same version as the others."
        yield warn(name, f"{place} is version {one.version}, and this is {our_version()}", mend)
