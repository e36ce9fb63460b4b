"""Every metric, declared once. Names follow Prometheus' conventions; label values come from closed sets.

Each section names the service that counts; docs/reference/metrics.md is made of them (`make docs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

log = structlog.get_logger(__name__)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

# Gateway
HTTP_REQUESTS: Final = Counter(
    "vitrine_http_requests_total",
    "HTTP requests answered, by route template and status.",
    ["route", "method", "status"],
)
HTTP_SECONDS: Final = Histogram(
    "vitrine_http_request_duration_seconds", "Time to answer an HTTP request.", ["route"], buckets=_SECONDS
)
PICTURE_READS: Final = Counter(
    "vitrine_picture_reads_total", "Thumbnail reads by outcome: hit, stale, not_modified, miss, error.", ["outcome"]
)

DEPENDENCY_UP: Final = Gauge(
    "vitrine_dependency_up",
    "1 when a dependency of the gateway (store, database, broker) answered at the last look, every 15 s.",
    ["dependency"],
    multiprocess_mode="livemostrecent",
)

# Gateway and warming process
DATA_READS: Final = Counter(
    "vitrine_data_reads_total", "Rows asked for, by how they came: hit, stale, miss, bypass, error.", ["outcome"]
)
ORIGIN_QUERIES: Final = Counter(
    "vitrine_origin_queries_total",
    "Queries sent to the databases of charts, by outcome: ok or an error code.",
    ["outcome"],
)
ORIGIN_SECONDS: Final = Histogram(
    "vitrine_origin_query_duration_seconds", "Time of a query of a chart in its database.", buckets=_SECONDS
)

# Whoever publishes: gateway, scheduler and warming process
PUBLISHED: Final = Counter(
    "vitrine_published_total", "Requests confirmed by the broker, by actor and origin.", ["actor", "origin"]
)
PUBLISH_FAILURES: Final = Counter(
    "vitrine_publish_failures_total", "Render requests that the broker did not confirm.", ["actor"]
)

# Renderer, warming process and query process
MESSAGES_HANDLED: Final = Counter(
    "vitrine_messages_handled_total", "Messages that workers were done with, whatever came of them.", ["queue"]
)
DEAD_LETTERS: Final = Counter("vitrine_dead_letters_total", "Messages dead-lettered, by error code.", ["code"])

# Renderer and scheduler
LOOP_ALIVE: Final = Gauge(
    "vitrine_event_loop_alive",
    "1 while the process is ready and its event loop turned within the last 30 s: what health checks look at.",
    ["service"],
)

# Renderer
RENDERS: Final = Counter(
    "vitrine_renders_total",
    "Renders ended, by target kind and outcome (updated, superseded or an error code).",
    ["kind", "outcome"],
)
RENDER_SECONDS: Final = Histogram(
    "vitrine_render_duration_seconds",
    "Time from publishing to the stored picture, by origin (viewer, refresh, operator).",
    ["origin"],
    buckets=_SECONDS,
)
RENDER_STEP_SECONDS: Final = Histogram(
    "vitrine_render_step_duration_seconds", "Time of each step of a render.", ["step"], buckets=_SECONDS
)
PAGE_OPENS: Final = Counter(
    "vitrine_page_opens_total", "Pages opened for a render, by way: loaded, or in_app (shown by an open page).", ["way"]
)
RENDERS_IN_FLIGHT: Final = Gauge("vitrine_renders_in_flight", "Renders running now.", multiprocess_mode="livesum")
BROWSER_STARTS: Final = Counter(
    "vitrine_browser_starts_total", "Browser starts, by reason: first, recycle, crash.", ["reason"]
)
CHILD_RESTARTS: Final = Counter(
    "vitrine_child_restarts_total",
    "Processes beside the renderer that ended by themselves and were started again, by module: warm_worker, "
    "query_worker.",
    ["module"],
)

# Warming process
WARMED: Final = Counter(
    "vitrine_warmed_total",
    "Outcomes of warm-up, by what was warmed and what came of it (warmed, already_warm, failed, skipped).",
    ["what", "outcome"],
)

# Query process
QUERIES: Final = Counter(
    "vitrine_queries_total",
    "Queries ended by their workers, by queue and end (success, failed, stopped, timed_out).",
    ["queue", "end"],
)
QUERY_FAILURES: Final = Counter(
    "vitrine_query_failures_total", "Queries that their workers ended as failed, by error code.", ["code"]
)
QUERY_SECONDS: Final = Histogram(
    "vitrine_query_duration_seconds",
    "Time of a query in hand of a worker, rows written and read back included.",
    ["queue"],
    buckets=(*_SECONDS, 900, 3600, 14_400),
)
QUERIES_IN_HAND: Final = Gauge(
    "vitrine_queries_in_hand", "Queries in hand of workers now.", multiprocess_mode="livesum"
)

# Query process and scheduler
QUERIES_SWEPT: Final = Counter(
    "vitrine_queries_swept_total", "Queries ended or put back because their worker died or their time was over."
)

# Every service with a Superset catalog
CATALOG_CIRCUIT: Final = Gauge(
    "vitrine_catalog_circuit_open",
    "1 while a catalog's origin is left alone after failures in a row.",
    ["catalog"],
    multiprocess_mode="livemax",
)

# Scheduler
LEADING: Final = Gauge("vitrine_scheduler_leading", "1 while this scheduler leads.", multiprocess_mode="livemax")
REFRESHES: Final = Counter(
    "vitrine_refreshes_total",
    "Pictures looked at for refresh, by outcome: published, fresh, running, held_off, put_off, failed, gone, outdated.",
    ["outcome"],
)

# Scheduler: what it sees of the others
PROCESSES: Final = Gauge(
    "vitrine_processes_alive", "Processes whose heartbeat was seen lately, by service.", ["service"]
)
QUEUE_READY: Final = Gauge("vitrine_queue_messages_ready", "Messages that wait in a queue.", ["queue"])
QUEUE_UNACKED: Final = Gauge(
    "vitrine_queue_messages_unacked",
    "Messages that workers have in hand; only with VITRINE_BROKER_MANAGEMENT_URL, or embedded.",
    ["queue"],
)
QUEUE_CONSUMERS: Final = Gauge("vitrine_queue_consumers", "Consumers of a queue.", ["queue"])
QUEUE_DEAD: Final = Gauge(
    "vitrine_queue_dead_letters", "Dead letters of a queue that nobody has dealt with.", ["queue"]
)
QUEUE_AGE: Final = Gauge(
    "vitrine_queue_oldest_message_age_seconds",
    "Age of the message that a queue delivers next, 0 when it is empty; not of quorum queues.",
    ["queue"],
)
STORE_NODE_UP: Final = Gauge("vitrine_store_node_up", "1 when a node of the store answers.", ["node"])
STORE_ITEMS: Final = Gauge("vitrine_store_items", "Items that a node of the store holds.", ["node"])
STORE_BYTES: Final = Gauge("vitrine_store_bytes", "Bytes that these items take.", ["node"])
STORE_LIMIT: Final = Gauge("vitrine_store_limit_bytes", "Bytes that a node of the store may take.", ["node"])
STORE_EVICTIONS: Final = Counter(
    "vitrine_store_evictions_total", "Items that a Memcached threw out before their time.", ["node"]
)
STORE_GETS: Final = Counter(
    "vitrine_store_gets_total", "Gets of a Memcached, by outcome: hit, miss.", ["node", "outcome"]
)


def begin(counter: Counter, values: Iterable[str]) -> None:
    """Shows the counter with each of these labels at 0: of a series that begins at 1, Prometheus sees no increase."""
    for value in values:
        counter.labels(value)


def serve(bind: str, port: int) -> None:
    """Serve /metrics in the background; port 0 serves none.

    A port that is taken is no reason to render nothing: with several renderers on one machine the first one has it, and
    the others say so in their log.
    """
    if not port:
        return
    try:
        start_http_server(port, addr=bind)
    except OSError as error:
        log.warning("metrics_not_served", bind=bind, port=port, reason=error.strerror)
