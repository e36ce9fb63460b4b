"""A bad setting stops each service with one line that names it; so does a secret that everybody knows."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.harness.stack import COMMANDS, ROOT, SECRET

BAD = {
    "not a number": {"VITRINE_RENDER_THREADS": "many"},
    "unknown": {"VITRINE_RENDER_TREADS": "2"},
    "default secret": {"VITRINE_SECRET_KEY": "changeme" * 5},
    "short secret": {"VITRINE_SECRET_KEY": "a4f1c2"},
    "deadline too long": {"VITRINE_RENDER_DEADLINE_S": "400"},
    "no broker": {"VITRINE_BROKER_URL": "redis://:hushhush@127.0.0.1/"},
    "no port": {"VITRINE_BROKER_URL": "amqp://guest:hushhush@127.0.0.1:port/"},
    "no database": {"VITRINE_METADATA_URL": "postgresql://vitrine:hushhush@127.0.0.1:port/x"},
    "no store": {"VITRINE_STORE_URL": "redis://127.0.0.1/"},
    "no place": {"VITRINE_BIND": "everywhere"},
    "no time": {"VITRINE_LEASE_S": "0"},
}


def _start(service: str, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")}
    environment |= {"VITRINE_SECRET_KEY": SECRET, "VITRINE_BROKER_URL": "amqp://127.0.0.1:9/"} | changes
    return subprocess.run(
        COMMANDS[service], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=60, check=False
    )


def _lines(output: str) -> list[str]:
    """Without what dramatiq's master says of its own start and end."""
    return [line for line in output.splitlines() if line.strip() and "[dramatiq." not in line]


@pytest.mark.parametrize("service", ["gateway", "renderer", "scheduler", "up"])
@pytest.mark.parametrize("bad", ["not a number", "default secret"])
def test_a_bad_setting_stops_each_service_with_one_line_that_names_it(service: str, bad: str) -> None:
    changes = BAD[bad]
    done = _start(service, changes)
    (name,) = changes
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr + done.stdout
    lines = _lines(done.stderr + done.stdout)
    assert len(lines) == 1, lines
    assert name in lines[0]
    assert name == "VITRINE_RENDER_THREADS" or changes[name] not in lines[0]


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad not in ("not a number", "default secret")])
def test_what_is_wrong_with_a_setting_is_said_in_one_line(bad: str) -> None:
    changes = BAD[bad]
    done = _start("scheduler", changes)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # the settings' own log line
    assert len(lines) == 1, lines
    assert next(iter(changes)) in lines[0]
    assert "hushhush" not in done.stderr


def test_a_service_without_a_secret_says_how_to_make_one() -> None:
    done = _start("scheduler", {"VITRINE_SECRET_KEY": ""})
    assert done.returncode == 1
    assert "VITRINE_SECRET_KEY" in done.stderr
    assert "openssl rand" in done.stderr
