"""Ports stay with who was given them."""

import subprocess
import sys
from pathlib import Path

from tests.harness import free_port, release_port

ROOT = Path(__file__).parents[3]


def test_a_port_is_given_once_until_it_is_released() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    for port in ports:
        release_port(port)


def test_a_port_is_not_given_to_another_test_run() -> None:
    port = free_port()
    script = f"from tests.harness import ports; print(ports._lock({port}))"

    taken = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)

    assert taken.stdout.strip() == "None"
    release_port(port)
