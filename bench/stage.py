"""Vitrine as it is run, on private servers: RabbitMQ, Memcached, the demo catalog, gateway and renderer."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from services.cli.parts import Parts, open_parts
from services.cli.up import command
from shared.catalog.port import TargetInfo
from shared.identity import Audience, Principal, Tokens
from shared.requests import Plan, Requests
from shared.settings import Settings
from shared.targets import TargetKind
from tests.harness import ManagedProcess, Memcached, RabbitMQ, free_port
from tests.harness.process import run_folder

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "deploy" / "demo"
USER = "ada"


@dataclass
class Stage:
    """What a benchmark plays on. `values` are the settings that differ from the defaults."""

    rabbitmq: RabbitMQ
    memcached: Memcached
    folder: Path
    values: dict[str, Any]
    processes: dict[str, ManagedProcess] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        return Settings(**self.values)

    @cached_property
    def environment(self) -> dict[str, str]:
        return {f"VITRINE_{name.upper()}": str(value) for name, value in self.values.items()}

    @cached_property
    def parts(self) -> Parts:
        return open_parts(self.settings)

    @cached_property
    def principal(self) -> Principal:
        return self.parts.catalogs["native"].principal(USER)

    def cli(self, *words: str, text: str | None = None) -> None:
        """Runs `vitrine …`; raises CalledProcessError when it fails."""
        line = [sys.executable, "-m", "services.cli", *words]
        subprocess.run(line, cwd=ROOT, env=self._inherited(), input=text, text=True, check=True, capture_output=True)

    def _inherited(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("VITRINE_")} | self.environment

    def start(self, service: str, *, application: str = "", **changes: object) -> ManagedProcess:
        """Starts a service as `vitrine up` does, with other settings, or another application for gunicorn, if given."""
        settings = self.settings.model_copy(update=changes)
        environment = self.environment | {f"VITRINE_{name.upper()}": str(value) for name, value in changes.items()}
        line = command(service, settings)
        line = [*line[:-1], application] if application else line
        process = ManagedProcess(line, folder=self.folder, name=service, env=environment, cwd=ROOT).start()
        self.processes[service] = process
        if service == "api":
            process.wait_for_http(f"{settings.base_url}/readyz", 60)
        elif service == "renderer":
            process.wait_for_log("browser_pool_started", 60)
        return process

    def stop(self, service: str) -> None:
        self.processes.pop(service).stop()

    def targets(self) -> list[TargetInfo]:
        """Every chart and dashboard that USER sees."""
        native = self.parts.catalogs["native"]
        return [info for kind in TargetKind for info in native.list(self.principal, kind)[1]]

    def plans(self, requests: Requests) -> list[tuple[TargetInfo, Plan]]:
        return [(info, requests.thumbnail(info.target, self.principal, info=info)) for info in self.targets()]

    def token(self, audience: Audience) -> str:
        secret = self.settings.secret_key.get_secret_value()
        return Tokens(secret).issue(USER, audience, 8 * 3600)


@contextlib.contextmanager
def stage(**values: object) -> Iterator[Stage]:
    """Servers and the loaded catalog; services are started by `Stage.start` and end with it."""
    with RabbitMQ() as rabbitmq, Memcached(memory_mb=512) as memcached:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=run_folder()))
        bind = f"127.0.0.1:{free_port()}"
        defaults = {
            "secret_key": secrets.token_hex(32),
            "state_dir": folder,
            "bind": bind,
            "base_url": f"http://{bind}",
            "broker_url": rabbitmq.default.url,
            "store_url": memcached.url,
            "log_level": "info",
        }
        here = Stage(rabbitmq, memcached, folder, defaults | values)
        here.cli("db", "upgrade")
        here.cli("catalog", "load", str(CATALOG))
        here.cli("users", "create", USER, "--password-stdin", "--update", text=secrets.token_urlsafe(12))
        try:
            yield here
        finally:
            for process in reversed(here.processes.values()):
                process.stop()
