"""A container engine that runs: the machine's own, else a throw-away one from a folder, started for it.

The folder is $CONTAINER_ENGINE, or `../shared/container-engine` beside this checkout. It holds `up`, which prints the
exports that make `docker` use it, and `forward HOSTPORT GUESTPORT`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.harness import HarnessError, free_port

ROOT = Path(__file__).parents[2]
VARIABLE = "CONTAINER_ENGINE"
BESIDE = ROOT.parent / "shared" / "container-engine"
INSTALL = "Install Docker 25 or newer with Compose 2.24 or newer (docs.docker.com/engine/install), and start it."
START_S = 900
COMMAND_S = 300


class NoEngine(Exception):
    """Neither can run: what is missing, as far as it said, and how to mend it."""

    def __init__(self, missing: str, mend: str) -> None:
        super().__init__(missing)
        self.missing, self.mend = missing, mend


class Engine:
    """`docker` with its environment. `folder`: of the throw-away engine, None for the machine's own."""

    def __init__(self, environment: Mapping[str, str], folder: Path | None = None, *, started: bool = False) -> None:
        self.environment = dict(environment)
        self.folder = folder
        self._started = started

    def docker(self, *words: str, timeout_s: float = COMMAND_S) -> str:
        """Its standard output. Raises HarnessError with what it said when it fails."""
        program = shutil.which("docker", path=self.environment["PATH"]) or "docker"
        call = partial(subprocess.run, cwd=ROOT, env=self.environment, text=True, capture_output=True, check=False)
        try:
            done = call([program, *words], timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"docker {' '.join(words)} did not end within {timeout_s:.0f} s") from None
        if done.returncode:
            said = (done.stdout + done.stderr)[-6000:]
            raise HarnessError(f"docker {' '.join(words)} ended with {done.returncode}:\n{said}")
        return done.stdout

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *names)) if names else []
        return found

    def publish(self, port: int) -> int:
        """The port of this machine's loopback that reaches the published `port`."""
        if self.folder is None:
            return port
        here = free_port()
        subprocess.run([self.folder / "forward", str(here), str(port)], check=True, timeout=60)
        return here

    def close(self) -> None:
        """Ends an engine that we started; any other goes on."""
        if self.folder is not None and self._started:
            subprocess.run([self.folder / "down"], check=False, timeout=120)


def open_engine() -> Engine:
    """Raises NoEngine when there is none, or the one that is there cannot run here."""
    folder = Path(os.environ.get(VARIABLE) or BESIDE).absolute()
    problem = _problem_of_the_machine_s_own()
    if problem is None:
        # The throw-away one may run already: its published ports are reached through `forward`.
        throw_away = "container-engine" in os.environ.get("DOCKER_HOST", "") and (folder / "forward").exists()
        return Engine(os.environ, folder if throw_away else None)
    if not (folder / "up").exists():
        found = f"{problem.missing}; and there is no throw-away engine: {folder} has no `up` ({VARIABLE} names another)"
        raise NoEngine(found, problem.mend)
    script = 'set -e; exports=$("$0"); eval "$exports"; env -0'
    mend = f"Run {folder / 'up'} by itself until it is content, or have a Docker of the machine's own: {INSTALL}"
    try:
        done = subprocess.run(
            ["bash", "-c", script, folder / "up"], capture_output=True, text=True, timeout=START_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoEngine(f"{folder / 'up'} did not start an engine within {START_S} s", mend) from None
    if done.returncode:
        raise NoEngine(f"{problem.missing}; and {folder / 'up'} failed:\n{done.stderr[-4000:].strip()}", mend)
    environment = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)
    return Engine(environment, folder, started=True)


def _problem_of_the_machine_s_own() -> NoEngine | None:
    """None when there is a docker with an engine that answers, and with Compose."""
    if shutil.which("docker") is None:
        return NoEngine("there is no `docker` on this machine", INSTALL)
    trials = {
        ("version",): "Start it (systemctl start docker), let this user use it (the group docker), or see DOCKER_HOST.",
        ("compose", "version"): f"Give it Compose. {INSTALL}",
    }
    for words, mend in trials.items():
        try:
            done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=30, check=False)
        except subprocess.TimeoutExpired:
            return NoEngine(f"`docker {' '.join(words)}` does not answer", mend)
        if done.returncode:
            return NoEngine(f"`docker {' '.join(words)}` fails: {done.stderr.strip()[-500:]}", mend)
    return None
