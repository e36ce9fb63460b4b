"""Processes of the harness: looked at, waited for, and gone with the test run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.harness import HarnessError, ManagedProcess, free_port, wait_until

ROOT = Path(__file__).parents[3]
Spawn = Callable[..., ManagedProcess]
# A parent with a child of its own session, as a daemon or a browser is.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(300)
"""


def test_an_orphan_is_found_and_killed(spawn: Spawn) -> None:
    parent = spawn([sys.executable, "-c", FAMILY])
    child = int(parent.wait_for_log(r"child (\d+)").group(1))

    assert [process.pid for process in parent.descendants()] == [child]
    parent.kill9()

    assert parent.returncode == -signal.SIGKILL
    assert [process.pid for process in parent.survivors()] == [child]
    parent.kill_tree()
    assert parent.survivors() == []


def test_a_process_that_dies_early_is_reported_with_its_log(spawn: Spawn) -> None:
    process = spawn([sys.executable, "-c", "raise SystemExit('no such setting')"])

    with pytest.raises(HarnessError, match="no such setting"):
        process.wait_for_log("ready")


def test_a_process_is_waited_for_over_http(spawn: Spawn, tmp_path: Path) -> None:
    port = free_port()
    server = spawn([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], cwd=tmp_path)

    server.wait_for_port(port)
    server.wait_for_http(f"http://127.0.0.1:{port}/")
    server.wait_for_http(f"http://127.0.0.1:{port}/missing", status=404)
    assert server.terminate() == -signal.SIGTERM


def test_a_process_sees_no_setting_of_the_test_run(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SECRET", "outer")
    command = [
        sys.executable,
        "-c",
        "import os; print({k: v for k, v in os.environ.items() if k.startswith('VITRINE')})",
    ]

    process = spawn(command, env={"VITRINE_MODE": "given"})

    process.wait()
    assert process.log.strip() == "{'VITRINE_MODE': 'given'}"


def test_a_killed_test_run_leaves_nothing_running(tmp_path: Path) -> None:
    script = f"""
import sys, time
from tests.harness import ManagedProcess, Memcached
from pathlib import Path
memcached = Memcached().start()
family = ManagedProcess([sys.executable, "-c", {FAMILY!r}], folder=Path({str(tmp_path)!r}), name="family").start()
child = family.wait_for_log(r"child (\\d+)").group(1)
print(memcached.processes[0].pid, family.pid, child, memcached.folder, flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout
        *words, folder = run.stdout.readline().split()
        pids = [int(word) for word in words]
        assert len(pids) == 3
        assert all(map(psutil.pid_exists, pids))
        os.kill(run.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(_is_running, pids)), 10, lambda: f"the end of {pids}")
    wait_until(lambda: not Path(folder).exists(), 10, lambda: f"the removal of {folder}")


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
