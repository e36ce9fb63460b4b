"""Writes deploy/monitoring/grafana/dashboards/vitrine.json: rows of panels, each a title, a unit and its queries.

`scripts/grafana_dashboard.py [FILE]`: there, or into another file, for the test that compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "deploy/monitoring/grafana/dashboards/vitrine.json"
SOURCE = {"type": "prometheus", "uid": "vitrine-prometheus"}
WIDTH, HEIGHT = 8, 7  # three panels in Grafana's 24 columns

Query = tuple[str, str]  # expression, legend
ROWS: dict[str, list[tuple[str, str, list[Query]]]] = {
    "What people notice": [
        (
            "Thumbnails by outcome",
            "reqps",
            [("sum by (outcome) (rate(vitrine_picture_reads_total[$__rate_interval]))", "{{outcome}}")],
        ),
        (
            "Time to answer, 99 of 100",
            "s",
            [
                (
                    "histogram_quantile(0.99, sum by (le, route) "
                    "(rate(vitrine_http_request_duration_seconds_bucket[$__rate_interval])))",
                    "{{route}}",
                )
            ],
        ),
        (
            "Answers by status",
            "reqps",
            [("sum by (status) (rate(vitrine_http_requests_total[$__rate_interval]))", "{{status}}")],
        ),
    ],
    "Queues": [
        ("Waiting", "short", [("max by (queue) (vitrine_queue_messages_ready)", "{{queue}}")]),
        ("Oldest message", "s", [("max by (queue) (vitrine_queue_oldest_message_age_seconds)", "{{queue}}")]),
        (
            "Dead letters",
            "short",
            [
                ("max by (queue) (vitrine_queue_dead_letters)", "{{queue}}"),
                ("sum by (code) (increase(vitrine_dead_letters_total[$__rate_interval]))", "new: {{code}}"),
            ],
        ),
        ("Consumers", "short", [("max by (queue) (vitrine_queue_consumers)", "{{queue}}")]),
        ("In hand", "short", [("max by (queue) (vitrine_queue_messages_unacked)", "{{queue}}")]),
        (
            "Published",
            "ops",
            [
                ("sum by (origin) (rate(vitrine_published_total[$__rate_interval]))", "{{origin}}"),
                ("sum by (actor) (rate(vitrine_publish_failures_total[$__rate_interval]))", "failed: {{actor}}"),
            ],
        ),
    ],
    "Renders": [
        (
            "Renders by outcome",
            "ops",
            [("sum by (outcome) (rate(vitrine_renders_total[$__rate_interval]))", "{{outcome}}")],
        ),
        (
            "From asked to stored, 95 of 100",
            "s",
            [
                (
                    "histogram_quantile(0.95, sum by (le, origin) "
                    "(rate(vitrine_render_duration_seconds_bucket[$__rate_interval])))",
                    "{{origin}}",
                )
            ],
        ),
        (
            "Steps, mean",
            "s",
            [
                (
                    "sum by (step) (rate(vitrine_render_step_duration_seconds_sum[$__rate_interval])) / "
                    "sum by (step) (rate(vitrine_render_step_duration_seconds_count[$__rate_interval]))",
                    "{{step}}",
                )
            ],
        ),
        ("In flight", "short", [("sum(vitrine_renders_in_flight)", "renders")]),
        (
            "Browser starts",
            "short",
            [("sum by (reason) (increase(vitrine_browser_starts_total[$__rate_interval]))", "{{reason}}")],
        ),
        ("Pages opened", "ops", [("sum by (way) (rate(vitrine_page_opens_total[$__rate_interval]))", "{{way}}")]),
    ],
    "Data and warm-up": [
        (
            "Rows by how they came",
            "ops",
            [("sum by (outcome) (rate(vitrine_data_reads_total[$__rate_interval]))", "{{outcome}}")],
        ),
        (
            "Queries of charts",
            "ops",
            [("sum by (outcome) (rate(vitrine_origin_queries_total[$__rate_interval]))", "{{outcome}}")],
        ),
        (
            "Time of a query, 95 of 100",
            "s",
            [
                (
                    "histogram_quantile(0.95, sum by (le) "
                    "(rate(vitrine_origin_query_duration_seconds_bucket[$__rate_interval])))",
                    "query",
                )
            ],
        ),
        (
            "Warm-up by outcome",
            "ops",
            [("sum by (outcome) (rate(vitrine_warmed_total[$__rate_interval]))", "{{outcome}}")],
        ),
        (
            "Queries of people by end",
            "ops",
            [("sum by (end) (rate(vitrine_queries_total[$__rate_interval]))", "{{end}}")],
        ),
        (
            "Time of such a query, 95 of 100",
            "s",
            [
                (
                    "histogram_quantile(0.95, sum by (le, queue) "
                    "(rate(vitrine_query_duration_seconds_bucket[$__rate_interval])))",
                    "{{queue}}",
                )
            ],
        ),
        ("Such queries in hand", "short", [("sum(vitrine_queries_in_hand)", "queries")]),
        ("Refreshes", "ops", [("sum by (outcome) (rate(vitrine_refreshes_total[$__rate_interval]))", "{{outcome}}")]),
        (
            "Leaders and open circuits",
            "short",
            [
                ("sum(vitrine_scheduler_leading)", "leaders"),
                ("max by (catalog) (vitrine_catalog_circuit_open)", "circuit: {{catalog}}"),
            ],
        ),
    ],
    "Store": [
        (
            "Bytes",
            "bytes",
            [
                ("max by (node) (vitrine_store_bytes)", "{{node}}"),
                ("max by (node) (vitrine_store_limit_bytes)", "{{node}}: limit"),
            ],
        ),
        ("Items", "short", [("max by (node) (vitrine_store_items)", "{{node}}")]),
        (
            "Hit rate",
            "percentunit",
            [
                (
                    'sum by (node) (rate(vitrine_store_gets_total{outcome="hit"}[$__rate_interval])) / '
                    "sum by (node) (rate(vitrine_store_gets_total[$__rate_interval]))",
                    "{{node}}",
                )
            ],
        ),
        ("Evictions", "ops", [("max by (node) (rate(vitrine_store_evictions_total[$__rate_interval]))", "{{node}}")]),
        ("Nodes that answer", "short", [("min by (node) (vitrine_store_node_up)", "{{node}}")]),
        ("Dependencies of the gateway", "short", [("min by (dependency) (vitrine_dependency_up)", "{{dependency}}")]),
    ],
}


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append(
            {
                "type": "row",
                "title": title,
                "id": len(panels) + 1,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            }
        )
        y += 1
        for number, (name, unit, queries) in enumerate(row):
            place = {"x": number % 3 * WIDTH, "y": y + number // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(_panel(len(panels) + 1, name, unit, queries, place))
        y += -(-len(row) // 3) * HEIGHT
    return {
        "uid": "vitrine",
        "title": "Vitrine",
        "tags": ["vitrine"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {"list": []},
        "panels": panels,
    }


def _panel(number: int, title: str, unit: str, queries: list[Query], place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
        for i, (expression, legend) in enumerate(queries)
    ]
    return {
        "type": "timeseries",
        "id": number,
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": targets,
    }


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
