"""deploy/monitoring/alertmanager.yml: who is told of which alert, and how often; by Alertmanager itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import wait_until
from tests.harness.monitoring import DEPLOY, MONITORING, NOBODY, Alertmanager, amtool, load, whole
from tests.harness.webhook import Webhook

RECEIVERS = """receivers:
  - name: critical
    webhook_configs: [{{url: "{url}/critical"}}]
  - name: warning
    webhook_configs: [{{url: "{url}/warning"}}]
"""
Tell = Callable[[str, str], object]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture
def alertmanager(webhook: Webhook) -> Iterator[Alertmanager]:
    """Its receivers are the webhook's paths."""
    with Alertmanager(RECEIVERS.format(url=webhook.url)) as alertmanager:
        yield alertmanager


@pytest.fixture
def tell(alertmanager: Alertmanager) -> Tell:
    """`tell(alert, severity)`: that it fires."""
    return lambda name, severity: alertmanager.amtool("alert", "add", name, f"severity={severity}")


def names(webhook: Webhook, path: str) -> set[str]:
    return {one["labels"]["alertname"] for where, told in webhook.told if where == path for one in told["alerts"]}


def test_every_alert_of_ours_has_the_receiver_of_its_severity(tmp_path: Path) -> None:
    file = whole(NOBODY, tmp_path)
    groups = load(MONITORING / "alerts.yml")["groups"]
    severities = {rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    assert severities == {"critical", "warning"}
    for severity in severities:
        words = ("config", "routes", "test", f"--config.file={file}", f"severity={severity}", "alertname=Any")
        assert amtool(*words).strip() == severity


def test_the_secret_as_it_is_made_is_valid_and_sends_nothing_to_anybody(tmp_path: Path) -> None:
    subprocess.run([DEPLOY / "secrets.sh", tmp_path], check=True, capture_output=True, timeout=60)
    made = tmp_path / "alert_receivers.yml"
    assert "2 receivers" in amtool("check-config", str(whole(made.read_text(), tmp_path)))
    assert load(made) == {"receivers": [{"name": "critical"}, {"name": "warning"}]}


def test_the_example_of_the_documents_is_valid(tmp_path: Path) -> None:
    section = Path("docs/operations.md").read_text().partition("### Who is told")[2]
    example = re.findall(r"```yaml\n(receivers:.*?)```", section, flags=re.DOTALL)[0]
    assert "2 receivers" in amtool("check-config", str(whole(example, tmp_path)))


def test_the_profile_s_services_name_each_other() -> None:
    services: dict[str, Any] = load(DEPLOY / "compose.yml")["services"]
    (told,) = load(MONITORING / "prometheus.yml")["alerting"]["alertmanagers"]
    (source,) = load(MONITORING / "grafana/provisioning/datasources/alertmanager.yml")["datasources"]
    assert told["static_configs"] == [{"targets": [source["url"].removeprefix("http://")]}]
    assert source["url"] == "http://alertmanager:9093"
    for name in ("prometheus", "alertmanager", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        assert "watch" in services[name]["networks"]
    assert services["alertmanager"]["networks"] == ["tell", "watch"], "it has a way out, and none to our services"
    assert {name for name in services if "watch" in services[name].get("networks", [])} == {
        *("prometheus", "alertmanager", "grafana")
    }


def test_what_fires_together_is_one_message_to_the_receiver_of_its_severity(webhook: Webhook, tell: Tell) -> None:
    tell("VitrineNoLeader", "critical")
    tell("VitrinePublishFails", "critical")
    tell("VitrineBulkWaits", "warning")
    told = lambda: len(names(webhook, "/critical")) == 2 and names(webhook, "/warning")  # noqa: E731
    wait_until(told, 30, lambda: f"three alerts: {webhook.told}")
    assert names(webhook, "/critical") == {"VitrineNoLeader", "VitrinePublishFails"}
    assert names(webhook, "/warning") == {"VitrineBulkWaits"}
    (*_, (_, last)) = [told for told in webhook.told if told[0] == "/critical"]
    assert (len(last["alerts"]), last["groupLabels"]) == (2, {"severity": "critical"})


def test_while_a_server_is_gone_the_warnings_that_follow_are_held_back(
    alertmanager: Alertmanager, webhook: Webhook, tell: Tell
) -> None:
    tell("VitrineDependencyDown", "critical")
    tell("VitrineHttpErrors", "warning")
    tell("VitrineNoLeader", "critical")
    held = lambda: alertmanager.amtool("alert", "query", "--inhibited", "severity=warning")  # noqa: E731
    wait_until(lambda: "VitrineHttpErrors" in held(), 30, held)
    wait_until(lambda: len(names(webhook, "/critical")) == 2, 30, lambda: f"two: {webhook.told}")
    assert names(webhook, "/warning") == set()


@pytest.mark.parametrize(
    ("gone", "warning"),
    [
        ("VitrineDependencyDown", "VitrineDeadLetters"),  # it would end untold before the server is back
        ("VitrineStoreNodeDown", "VitrineBulkWaits"),  # it has nothing to do with it
    ],
)
def test_a_warning_that_does_not_follow_is_told_at_once(webhook: Webhook, tell: Tell, gone: str, warning: str) -> None:
    tell(gone, "critical")
    tell(warning, "warning")
    wait_until(lambda: names(webhook, "/critical") == {gone}, 30, lambda: f"one: {webhook.told}")
    wait_until(lambda: names(webhook, "/warning") == {warning}, 30, lambda: f"one: {webhook.told}")
