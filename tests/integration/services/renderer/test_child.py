"""The end of a process beside a renderer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from services.renderer.child import STOP_S
from tests.harness import Vhost, free_port

ROOT = Path(__file__).parents[4]
HUNG = """
import time
from services.renderer.child import run

class Part:
    def __init__(self, settings, publisher): ...
    def start(self): print("started", flush=True)
    def stop(self): time.sleep(600)

run("hung", Part, lambda settings: settings.warming_metrics_port)
"""


def test_one_that_hangs_at_its_end_leaves_though_nobody_kills_it(rabbitmq: Vhost, tmp_path: Path) -> None:
    settings = {"BROKER_URL": rabbitmq.url, "STATE_DIR": tmp_path, "WARMING_METRICS_PORT": free_port()}
    settings |= {"SECRET_KEY": "f3b1c9d27a8e4650b1c2d3e4f5a69788", "LOG_FORMAT": "json"}
    environment = {f"VITRINE_{name}": str(value) for name, value in settings.items()} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HUNG]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == b"started\n":
                break
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=STOP_S + 60)
    assert (process.returncode, b"child_end_hung" in said) == (1, True), said
    assert time.monotonic() - began >= STOP_S - 1
