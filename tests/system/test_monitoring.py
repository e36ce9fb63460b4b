"""The profile `monitoring`: Prometheus and Alertmanager with its files, beside services that really run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Memcached, RabbitMQ, Vhost, wait_until
from tests.harness.monitoring import Alertmanager, Prometheus
from tests.harness.stack import QUEUE, Stack
from tests.harness.webhook import Webhook

RECEIVERS = """receivers:
  - name: critical
  - name: warning
    webhook_configs: [{{url: "{url}"}}]
"""
UNREADABLE = {"queue_name": QUEUE, "actor_name": "cache_chart_thumbnail", "args": [], "kwargs": {}, "options": {}}
PATIENCE_S = 60


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def place(rabbitmq_server: RabbitMQ) -> Iterator[Vhost]:
    vhost = rabbitmq_server.create_vhost()
    yield vhost
    rabbitmq_server.delete_vhost(vhost)


@pytest.fixture(scope="module")
def prometheus(place: Vhost, webhook: Webhook) -> Iterator[Prometheus]:
    """Watches all services, with the processes beside the renderer."""
    with Memcached() as memcached, Stack(broker_url=place.url, store_url=memcached.url) as stack:
        yield from _watching(stack.start("gateway", "renderer", "scheduler"), webhook)


def _watching(stack: Stack, webhook: Webhook) -> Iterator[Prometheus]:
    ports = {"gateway": stack.port} | stack.metrics_ports
    ports["querying"] = ports.pop("query")
    targets = {f"vitrine-{name}": f"127.0.0.1:{port}" for name, port in ports.items()}
    with (
        Alertmanager(RECEIVERS.format(url=webhook.url)) as alertmanager,
        Prometheus(targets, alertmanager.address) as prometheus,
    ):
        yield prometheus


def test_every_process_is_a_target_that_answers_and_every_rule_can_be_evaluated(prometheus: Prometheus) -> None:
    def health() -> dict[str, str]:
        return {one["labels"]["job"]: one["health"] for one in prometheus.get("targets")["activeTargets"]}

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: set(health().values()) == {"up"}, PATIENCE_S, lambda: f"targets that are up: {health()}")
    assert len(health()) == 5
    wait_until(lambda: all(rule["health"] == "ok" for rule in rules()), PATIENCE_S, lambda: f"good rules: {rules()}")
    assert len(rules()) > 20
    (leading,) = prometheus.get("query?query=max(vitrine_scheduler_leading)")["result"]
    assert leading["value"][1] == "1"


def test_an_alert_that_fires_reaches_whom_it_is_for(prometheus: Prometheus, place: Vhost, webhook: Webhook) -> None:
    place.publish(QUEUE, json.dumps(UNREADABLE | {"message_id": "m", "message_timestamp": 1}).encode())

    def told() -> dict[str, Any] | None:
        alerts = [alert for _, message in webhook.told for alert in message["alerts"]]
        return next((one for one in alerts if one["labels"]["alertname"] == "VitrineDeadLetters"), None)

    alert = wait_until(told, PATIENCE_S, lambda: f"an alert; {prometheus.get('alerts')}, {webhook.told}")
    assert alert["status"] == "firing"
    assert alert["labels"]["severity"] == "warning"
    assert alert["labels"]["code"] in alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == "docs/runbook.md#vitrinedeadletters"
