"""deploy/roll.sh and the Makefile ask `docker compose` of the operator's own project: compose.override.yml included."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DOCKER = """\
#!/bin/sh
echo "$PWD $*" >>"$TOLD"
[ "$*" != "compose ps -q api" ] || echo one
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the deployment, and a docker that notes what it is asked."""
    shutil.copytree("deploy", tmp_path / "deploy")
    shutil.copy("Makefile", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(DOCKER)
    (tmp_path / "bin/docker").chmod(0o755)
    return tmp_path


def asked(project: Path, *command: str) -> list[str]:
    """Compose finds compose.override.yml in the folder that it is started in, unless it is given a file."""
    told = project / "told"
    environment = os.environ | {"PATH": f"{project / 'bin'}:{os.environ['PATH']}", "TOLD": str(told)}
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, timeout=60)
    lines = [line for line in told.read_text().splitlines() if " compose " in line]
    assert lines
    assert all(line.startswith(f"{project / 'deploy'} compose ") for line in lines), lines
    assert not any(" -f " in line for line in lines)
    return [line.removeprefix(f"{project / 'deploy'} compose ") for line in lines]


def test_a_roll_starts_a_new_container_before_an_old_one_ends(project: Path) -> None:
    up = "up -d --no-deps --no-build --no-recreate --wait --scale api=2 api"
    assert asked(project, str(project / "deploy/roll.sh"), "api") == ["ps -q api", up]
    assert (project / "told").read_text().splitlines()[-2:] == [f"{project} stop one", f"{project} rm one"]


def test_compose_up_and_down_are_of_the_same_project(project: Path) -> None:
    up = ["up -d --build --wait", "--profile demo run --rm --build demo"]
    assert asked(project, "make", "compose-up", "DEMO=1") == up
    assert asked(project, "make", "compose-down", "ARGS=--volumes")[2:] == ["--profile * down --volumes"]
