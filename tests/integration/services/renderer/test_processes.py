"""No orphans: whatever is killed, nothing of a browser stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.renderer import processes
from tests.harness import ManagedProcess, wait_until
from tests.harness.process import command_of
from tests.integration.services.renderer.test_browser import alive
from tests.sites import Site

HOLDER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from services.renderer.pool import BrowserPool
from shared.settings import Settings

async def main():
    secret = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4"
    pool = BrowserPool(Settings(secret_key=secret, base_url=sys.argv[1], chromium=sys.argv[2]))
    await pool.start()
    async with pool.lease("ann", datetime.now(UTC) + timedelta(seconds=60)) as lease:
        try:
            await lease.call(lease.page.goto(sys.argv[1] + sys.argv[3], wait_until="commit"), 2)
        finally:
            print("ready", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("page", ["/charts", "/spin"])
@pytest.mark.parametrize("with_driver", [False, True])
def test_kill_9_of_the_renderer_leaves_no_process(
    spawn: Callable[..., ManagedProcess], site: Site, chromium_path: Path, page: str, with_driver: bool
) -> None:
    holder = spawn([sys.executable, "-c", HOLDER, f"http://{site.host}", chromium_path, page])
    wait_until(lambda: page in site.paths() and "ready" in holder.log_tail(), 30, holder.log_tail)
    below = psutil.Process(holder.pid).children(recursive=True)
    assert any("--type=renderer" in command_of(p) for p in below)
    psutil.Process(holder.pid).kill()
    if with_driver:
        for process in below:
            if "run-driver" in command_of(process):
                process.kill()
    wait_until(lambda: not alive(below), 5, lambda: f"left: {alive(below)}")


def test_folders_of_dead_browsers_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profile = tmp_path / "playwright_chromiumdev_profile-x"
    profile.mkdir()
    dead, living = (tmp_path / f"{processes.PREFIX}{name}" for name in ("dead", "living"))
    for folder, pid in ((dead, 2**22 + 1), (living, psutil.Process().pid)):
        folder.mkdir()
        (folder / "processes").write_text(f"{pid}\n{pid}\n{profile if folder == dead else ''}\n")
    processes.sweep()
    assert [path.exists() for path in (dead, living, profile)] == [False, True, False]


PROMISE = (
    "import sys; from services.renderer.processes import end_with_parent as end; end(int(sys.argv[1])); print('on')"
)


@pytest.mark.parametrize(("parent", "ends_with"), [(os.getpid(), 0), (2**22 + 1, -signal.SIGTERM)])
def test_whose_parent_is_gone_already_ends_at_once(parent: int, ends_with: int) -> None:
    """No process has the second number: it is above the kernel's limit."""
    command = [sys.executable, "-c", PROMISE, str(parent)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[4], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "on" in done.stdout) == (ends_with, ends_with == 0), done.stderr
