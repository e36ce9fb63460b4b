"""Traces over all services, as an OTLP collector receives them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Memcached, wait_until
from tests.harness.collector import Collector, SpanSeen
from tests.harness.stack import Stack

pytestmark = pytest.mark.timeout(300)
STEPS = ["queued", "leased", "signed_in", "navigated", "ready", "captured", "stored"]
PATIENCE_S = 90


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def stack(rabbitmq_server: Any, collector: Collector) -> Iterator[Stack]:
    vhost = rabbitmq_server.create_vhost()
    with (
        Memcached() as memcached,
        Stack(broker_url=vhost.url, store_url=memcached.url, otlp_endpoint=collector.url) as stack,
    ):
        yield stack.start("gateway", "renderer", "scheduler")
    rabbitmq_server.delete_vhost(vhost)


def tree(spans: list[SpanSeen]) -> dict[str, str]:
    """Each span's name → that of its parent; "" for a root. `service/name` of both."""
    names = {span.span_id: f"{span.service.removeprefix('vitrine-')}/{span.name}" for span in spans}
    assert len(names) == len(spans)
    return {names[span.span_id]: names[span.parent_id] if span.parent_id else "" for span in spans}


def whole(collector: Collector, trace_id: str, last: str) -> list[SpanSeen]:
    def spans() -> list[SpanSeen] | None:
        found = collector.spans(trace_id)
        return found if {last, "publish"} <= {span.name for span in found} else None

    return wait_until(spans, PATIENCE_S, lambda: f"the whole of {trace_id}: {collector.spans(trace_id)}")


def whole_warm_up(collector: Collector, trace_id: str) -> list[SpanSeen]:
    def spans() -> list[SpanSeen] | None:
        found = collector.spans(trace_id)
        known = {span.span_id for span in found}
        # Each service sends its own spans when it likes: complete is what lacks no parent but the fire's.
        is_whole = all(span.parent_id in known for span in found if span.name != "fire")
        return found if is_whole and sum(span.name == "warm up" for span in found) >= 2 else None

    return wait_until(spans, PATIENCE_S, lambda: f"a warm-up in {collector.spans(trace_id)}")


def test_one_trace_leads_from_the_request_to_the_stored_picture(stack: Stack, collector: Collector) -> None:
    hugo, trace_id = stack.login("hugo"), "4bf92f3577b34da6a3ce929d0e0e4736"
    assert hugo.ask("total", **{"X-Correlation-ID": trace_id}).status_code == 202
    hugo.picture("total")
    spans = whole(collector, trace_id, "render")
    route = "gateway/GET /api/v1/chart/{target_id}/thumbnail/{digest}"
    assert tree(spans) == {
        route: "",
        "gateway/publish": route,
        "renderer/render": "gateway/publish",
        **{f"renderer/{step}": "renderer/render" for step in STEPS},
    }
    (render,) = (span for span in spans if span.name == "render")
    assert (render.attributes["executor"], render.is_error) == ("hugo", False)
    assert all(span.began_ns <= span.ended_ns for span in spans)


def test_a_failed_render_says_so_with_its_code(stack: Stack, collector: Collector) -> None:
    hugo, trace_id = stack.login("hugo"), "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"
    hugo.ask("broken", **{"X-Correlation-ID": trace_id})
    (render,) = (span for span in whole(collector, trace_id, "render") if span.name == "render")
    assert (render.is_error, render.attributes["error.type"]) == (True, "chart_failed")


def test_a_caller_s_trace_goes_on(stack: Stack, collector: Collector) -> None:
    trace_id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    answer = stack.login("hugo").get("/api/v1/me/", headers={"traceparent": f"00-{trace_id}-{parent}-01"})
    assert answer.headers["X-Correlation-ID"] == trace_id
    (request,) = wait_until(lambda: collector.spans(trace_id), PATIENCE_S, "the request's span")
    assert (request.parent_id, request.attributes["http.response.status_code"]) == (parent, 200)


def test_a_schedule_s_fire_leads_to_what_it_warmed(stack: Stack, collector: Collector) -> None:
    ada = stack.login("ada")
    body = {"strategy": "ids", "parameters": {"charts": [int(stack.ids["regions"].split("/")[1])]}, "interval": "2s"}
    assert ada.client.put("/api/v1/schedules/often", json=body).status_code == 200
    last = "SELECT correlation_id FROM fires WHERE schedule = 'warmup:often' AND outcome = 'fired'"
    ((trace_id, *_), *_) = wait_until(lambda: stack.rows(last), PATIENCE_S, "a fire")
    assert ada.client.delete("/api/v1/schedules/often").status_code == 204
    spans = whole_warm_up(collector, trace_id)
    by_id = {span.span_id: span for span in spans}
    decided = next(span for span in spans if span.name == "warm up" and not span.attributes["part"])
    part = next(span for span in spans if span.name == "warm up" and span.attributes["part"])
    published = by_id[decided.parent_id]
    assert (published.service, published.name, by_id[published.parent_id].name) == (
        "vitrine-scheduler",
        "publish",
        "fire",
    )
    assert by_id[by_id[part.parent_id].parent_id].span_id == decided.span_id


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from shared import tracing; from shared.settings import Settings\n"
        "import services.api.app, services.renderer.renders, services.scheduler.__main__, shared.queue\n"
        "tracing.configure(Settings(secret_key='9b1f7c22d04e4f6ab8d3e5a1c7f02946'), 'gateway')\n"
        "with tracing.span('a', trace='b'): tracing.flush()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
