"""The compose project of deploy/compose.yml, as an operator runs it, with secrets and a name of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.engine import ROOT, Engine
from tests.harness import HarnessError, wait_until

NAME = "vitrine-test"
PORT = 18080  # in the engine
BUILD_S, UP_S = 900, 420
OURS = ("api", "renderer", "scheduler")
TOLD = pytest.StashKey[str]()  # what a test measured, for whoever reads the end of the run


class Project:
    """`replicas` of each service of ours is two; so are the cores of the smallest machine that runs this."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.secrets = Path(tempfile.mkdtemp(prefix="vitrine-secrets-"))
        subprocess.run([ROOT / "deploy/secrets.sh", self.secrets], check=True, capture_output=True)
        self.variables = {
            "COMPOSE_PROJECT_NAME": NAME,
            "DEPLOY_SECRETS": str(self.secrets),
            "DEPLOY_PUBLISH": f"127.0.0.1:{PORT}",
            "DEPLOY_IMAGE": NAME,
            # Its own, whatever an installation on this machine has.
            "DEPLOY_TAG": "latest",
            "DEPLOY_FRONT_SUBNET": "10.208.16.0/24",
            "DEPLOY_MONITORING_SUBNET": "10.208.17.0/24",
            **{f"DEPLOY_{service}S": "2" for service in ("GATEWAY", "RENDERER", "SCHEDULER")},
        }
        self.url = ""

    def compose(self, *words: str, timeout_s: float = UP_S, **variables: str) -> str:
        """Its standard output. Raises HarnessError with what it said when it fails."""
        environment = self.engine.environment | self.variables | variables
        return Engine(environment).docker("compose", "-f", "deploy/compose.yml", *words, timeout_s=timeout_s)

    def up(self) -> None:
        port = self.engine.publish(PORT)
        self.variables["VITRINE_BASE_URL"] = self.url = f"http://127.0.0.1:{port}"
        self.compose("--profile", "cli", "build", timeout_s=BUILD_S)
        try:
            self.compose("up", "-d", timeout_s=BUILD_S)
            for service in OURS:
                self.wait_healthy(service, 2, UP_S)
            self.wait_healthy("nginx", 1, UP_S)
        except HarnessError as error:
            raise HarnessError(f"{error}\n{self.compose('logs', '--tail', '30')[-8000:]}") from None
        self.compose("--profile", "demo", "run", "--rm", "demo")

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def down(self) -> None:
        """With its volumes; and its secrets."""
        try:
            self.compose("--profile", "*", "down", "--volumes", "--timeout", "60", timeout_s=400)
        finally:
            shutil.rmtree(self.secrets, ignore_errors=True)

    # --- containers ---------------------------------------------------------------------------------------------------

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What `docker inspect` tells of the service's containers, in the order of their numbers."""
        ids = self.compose("ps", "-a", "-q", service).split()
        return sorted(self.engine.inspect(*ids), key=lambda one: str(one["Name"]))

    def kill9(self, container: dict[str, Any]) -> None:
        """kill -9 of the container's first process, from outside: a crash, after which Docker restarts it."""
        pid = str(self.engine.inspect(container["Id"])[0]["State"]["Pid"])
        image = f"{NAME}-scheduler:latest"
        kill = ["--rm", "--pid", "host", "--user", "root", "--entrypoint", "sh", image, "-c", f"kill -KILL {pid}"]
        self.engine.docker("run", *kill)

    def wait_healthy(self, service: str, count: int, timeout_s: float = 180) -> None:
        def states() -> list[str]:
            return [one["State"].get("Health", {}).get("Status", "none") for one in self.containers(service)]

        def what() -> str:
            log = self.compose("logs", "--tail", "20", service)
            return f"{count} healthy {service}; they are {states()}\n{log}"

        wait_until(lambda: states() == ["healthy"] * count, timeout_s, what, interval_s=1)

    def scale(self, service: str, count: int, **variables: str) -> None:
        words = ("up", "-d", "--no-deps", "--wait", "--scale", f"{service}={count}", service)
        self.compose(*words, timeout_s=UP_S, **variables)

    def in_container(self, service: str, *words: str, index: int = 1) -> str:
        return self.compose("exec", "-T", "--index", str(index), service, *words)

    def operator(self, *words: str) -> str:
        """What a command of the operator tells, run as docs/deploy.md says. Raises HarnessError when it fails."""
        return self.compose("run", "--rm", "-T", "cli", *words)

    # --- queues -------------------------------------------------------------------------------------------------------

    def queues(self) -> dict[str, int]:
        """Messages of each queue, those in hand of a worker included."""
        words = ("rabbitmqctl", "-q", "list_queues", "-p", "vitrine", "name", "messages", "--formatter", "json")
        return {queue["name"]: queue["messages"] for queue in json.loads(self.in_container("rabbitmq", *words))}

    def wait_quiet(self, timeout_s: float = 240) -> None:
        """Until nothing waits and nothing is in hand."""

        def quiet() -> bool:
            return not any(count for name, count in self.queues().items() if not name.endswith(".XQ"))

        wait_until(quiet, timeout_s, lambda: f"empty queues: {self.queues()}", ignoring=(HarnessError,), interval_s=1)

    def dead_letters(self) -> dict[str, int]:
        return {name: count for name, count in self.queues().items() if name.endswith(".XQ") and count}
