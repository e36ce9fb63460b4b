"""`make test-deploy` where no container engine can run: that is said loudly, and is no failure; all else is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Lane = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """`program(name, script)`: one more program of the machine."""

    def make(name: str, script: str) -> Path:
        file = tmp_path / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)
        return file

    return make


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    """Runs its tests on a machine that has bash, and the programs of the test."""
    for name in ("bash", "env", "cat", "od", "tr", "mkdir", "mv", "sed", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "tests/deploy", "-p", "no:cacheprovider", "--reruns=0", *words]
        environment = {name: str(tmp_path) for name in ("PATH", "CONTAINER_ENGINE", "TMPDIR")} | {"COLUMNS": "100"}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
        )

    return run


def test_without_docker_it_says_what_is_missing_and_how_to_mend_it_and_ends_well(lane: Lane) -> None:
    done = lane()
    assert done.returncode == 0, done.stdout
    *_, banner, missing, mend, _, closing = done.stdout.splitlines()
    assert "!!! THE DEPLOYMENT WAS NOT TESTED: no container engine !!!" in banner
    assert missing.startswith("Missing: there is no `docker` on this machine; and there is no throw-away engine")
    assert mend.startswith("To mend: Install Docker 25 or newer with Compose")
    assert " skipped in " in closing
    assert "passed" not in closing


def test_an_engine_that_cannot_start_says_why_itself(lane: Lane, program: Callable[[str, str], Path]) -> None:
    program("docker", "echo 'Cannot connect to the Docker daemon.' >&2; exit 1")
    program("up", "echo 'container-engine: needs root: run it as root' >&2; exit 1")
    done = lane()
    assert done.returncode == 0, done.stdout
    assert "`docker version` fails: Cannot connect to the Docker daemon." in done.stdout
    assert "container-engine: needs root: run it as root" in done.stdout


def test_what_fails_on_an_engine_that_answers_is_a_failure(lane: Lane, program: Callable[[str, str], Path]) -> None:
    program("docker", "case $* in version | 'compose version') ;; *) echo 'no space left' >&2; exit 1 ;; esac")
    done = lane("-x")
    assert done.returncode == 1, done.stdout
    assert "no space left" in done.stdout
    assert "NOT TESTED" not in done.stdout
