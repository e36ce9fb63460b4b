"""The files of deploy/monitoring, checked by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from shared import metrics
from tests.harness.server import find_program

FOLDER = Path("deploy/monitoring")
DASHBOARD = FOLDER / "grafana/dashboards/vitrine.json"
pytestmark = pytest.mark.timeout(300)  # promtool writes much to disk
OURS = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]


def promtool(*words: str) -> None:
    command = [str(find_program("promtool", package="prometheus")), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def alerts() -> list[dict[str, Any]]:
    return [rule for group in load(FOLDER / "alerts.yml")["groups"] for rule in group["rules"]]


def served_names() -> set[str]:
    """Every name under which a metric of ours appears in Prometheus."""
    names: set[str] = set()
    for metric in OURS:
        (family,) = metric.describe()
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names.update(family.name + ending for ending in endings)
    return names


def test_configuration_and_rules_are_valid() -> None:
    promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_the_configuration_for_kubernetes_is_valid(tmp_path: Path) -> None:
    """But for the search for pods, which Debian's Prometheus is built without."""
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    before, search, after = (FOLDER / "prometheus-kubernetes.yml").read_text().partition("kubernetes_sd_configs: ")
    assert search
    (tmp_path / "prometheus.yml").write_text(f"{before}static_configs: [] # {after}")
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_each_alert_fires_and_none_does_on_a_healthy_day() -> None:
    promtool("test", "rules", str(FOLDER / "alerts_test.yml"))
    tried = {test["name"] for test in load(FOLDER / "alerts_test.yml")["tests"]}
    assert tried == {rule["alert"] for rule in alerts()} | {"a healthy day"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_bad_it_is_and_where_its_remedy_stands(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_metric_in_alerts_and_dashboard_is_one_that_we_serve() -> None:
    targets = [target for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", ())]
    assert len(targets) > 20
    expressions = [*(rule["expr"] for rule in alerts()), *(target["expr"] for target in targets)]
    bare = [re.sub(r'"[^"]*"', "", expression) for expression in expressions]  # label values name queues, say
    named = {name for expression in bare for name in re.findall(r"\bvitrine_\w+", expression)}
    assert named
    assert named <= served_names()


def test_the_dashboard_is_what_its_script_writes(tmp_path: Path) -> None:
    """Mend with: .venv/bin/python scripts/grafana_dashboard.py"""
    written = tmp_path / "vitrine.json"
    subprocess.run([sys.executable, "scripts/grafana_dashboard.py", str(written)], check=True, timeout=60)
    assert written.read_text() == DASHBOARD.read_text()


def test_the_provisioned_dashboard_reads_the_provisioned_source() -> None:
    (source,) = load(FOLDER / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels if "datasource" in panel} == {source["uid"]}
