"""Prometheus and Alertmanager, with the files of deploy/monitoring as deploy/compose.yml starts them.

What differs: addresses, folders, and that they look and tell within a second.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from tests.harness.errors import HarnessError
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

DEPLOY = Path(__file__).parents[2] / "deploy"
MONITORING = DEPLOY / "monitoring"
ROUTES = MONITORING / "alertmanager.yml"
NOBODY = "receivers: [{name: critical}, {name: warning}]\n"
SOON = "1s"


class Prometheus(Server):
    """`targets`: HOST:PORT of each job of prometheus.yml; `alertmanager`: HOST:PORT of whom it tells."""

    name = "prometheus"

    def __init__(self, targets: Mapping[str, str], alertmanager: str) -> None:
        program = find_program("prometheus", package="prometheus")
        super().__init__()
        settings = load(MONITORING / "prometheus.yml")
        settings["global"] = dict.fromkeys(settings["global"], SOON)
        for job in settings["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        (told,) = settings["alerting"]["alertmanagers"]
        told["static_configs"] = [{"targets": [alertmanager]}]
        settings["rule_files"] = [str(MONITORING / file) for file in settings["rule_files"]]
        written = write(settings, self.folder / "prometheus.yml")
        words = [f"--config.file={written}", f"--storage.tsdb.path={self.folder / 'data'}"]
        words += [f"--web.listen-address=127.0.0.1:{self.port}"]
        self.processes = [ManagedProcess([program, *words], folder=self.folder, name=self.name)]

    def is_ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port}/-/ready")

    def get(self, path: str) -> Any:
        """The `data` of a GET below /api/v1/."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10)
        return answer.raise_for_status().json()["data"]


class Alertmanager(Server):
    """`receivers`: the text of the secret alert_receivers.yml."""

    name = "alertmanager"

    def __init__(self, receivers: str = NOBODY) -> None:
        program = find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
        super().__init__()
        self.address = f"127.0.0.1:{self.port}"
        (self.folder / "receivers.yml").write_text(receivers)
        routes = load(ROUTES)
        for route in (routes["route"], *routes["route"]["routes"]):
            route |= {"group_wait": SOON, "group_interval": SOON}
        write(routes, self.folder / "routes.yml")
        (self.folder / "alertmanager").symlink_to(program)
        command = f"PATH={self.folder}:$PATH; {self._command()} --web.listen-address={self.address}"
        self.processes = [ManagedProcess(["sh", "-euc", command], folder=self.folder, name=self.name)]

    def _command(self) -> str:
        """That of its container, with paths of ours."""
        service = load(DEPLOY / "compose.yml")["services"]["alertmanager"]
        (command,) = service["command"]
        paths = {
            "/etc/alertmanager/alertmanager.yml": "routes.yml",
            "/run/secrets/alert_receivers.yml": "receivers.yml",
            "/tmp/alertmanager.yml": "whole.yml",
            "=/alertmanager": "data",
        }
        for old, new in paths.items():
            if old not in command:
                raise HarnessError(f"the command of alertmanager in deploy/compose.yml has no {old}")
            command = command.replace(old, f"{'=' if old[0] == '=' else ''}{self.folder / new}")
        return str(command)

    def is_ready(self) -> bool:
        return answers(f"http://{self.address}/-/ready")

    def amtool(self, *words: str) -> str:
        return amtool(f"--alertmanager.url=http://{self.address}", *words)


def amtool(*words: str) -> str:
    """What Alertmanager's own tool says. Raises HarnessError when it fails."""
    command = [str(find_program("amtool", package="prometheus-alertmanager")), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise HarnessError(f"amtool {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def whole(receivers: str, folder: Path) -> Path:
    """Alertmanager's configuration: the routes, and behind them these receivers."""
    file = folder / "alertmanager.yml"
    file.write_text(ROUTES.read_text() + receivers)
    return file


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def write(settings: Any, path: Path) -> Path:
    with path.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    return path


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
