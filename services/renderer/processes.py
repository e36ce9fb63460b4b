"""The processes of one browser: started so that none outlives us, measured, and ended together.

Playwright's node driver starts the browser through a small shell script of ours, which writes down both process ids
and, on Linux, asks the kernel to kill the browser when the driver dies (PR_SET_PDEATHSIG by setpriv). The driver itself
ends when our end of its pipe closes, which the kernel guarantees. So nothing is left after kill -9 of us, of the
driver, or of both.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

PREFIX = "vitrine-browser-"
SCRIPT = """#!/bin/sh
for argument; do case "$argument" in --user-data-dir=*) profile=${{argument#--user-data-dir=}};; esac; done
printf '%s\\n' "$$" "$PPID" "$profile" > {folder}/processes.new && mv {folder}/processes.new {folder}/processes
{autogroup}exec {guard}{browser} "$@"
"""
# A kernel that groups processes by session (sched(7)) weighs nice within one only; Playwright gives each browser one.
# It takes one number in a tenth of a second, for the whole machine, from those who are not root.
AUTOGROUP = """for _ in 1 2 3 4 5 6 7 8 9; do
[ -e /proc/$$/autogroup ] || break; {{ echo {nice} > /proc/$$/autogroup; }} 2>/dev/null && break; sleep 0.1
done
"""
MIB = 1024 * 1024
PR_SET_PDEATHSIG = 1  # prctl(2)
KEEP_NICE = "--bounding-set -sys_nice "  # root's Chromium would give its processes the usual priority back
PROBE_S = 5
OWN_GROUP = Path("/proc/self/autogroup")


@dataclass(frozen=True, slots=True)
class BrowserProcesses:
    """Process ids of a started browser and of the driver that started it, and the browser's profile folder."""

    browser: int
    driver: int
    profile: Path | None


class Launcher:
    """The folder and script through which one browser is started. Blocking file access, all of it tiny.

    `nice`: how far the browser and all its processes stand behind others, as nice(1) has it.
    """

    def __init__(self, browser: Path, *, nice: int = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        setpriv = shutil.which("setpriv")
        keep = KEEP_NICE if nice and setpriv and _may_keep_nice(setpriv) else ""
        guard = f"{setpriv} --pdeathsig KILL {keep}-- " if setpriv else ""
        guard += f"nice -n {nice} " if nice else ""
        autogroup = AUTOGROUP.format(nice=nice) if nice else ""
        names = {"folder": shlex.quote(str(self.folder)), "browser": shlex.quote(str(browser))}
        self.script = self.folder / "browser"
        self.script.write_text(SCRIPT.format(guard=guard, autogroup=autogroup, **names))
        self.script.chmod(0o700)

    def processes(self) -> BrowserProcesses | None:
        """What was started; None when nothing was."""
        return _read(self.folder)

    def end(self) -> None:
        """Kill what is left of the browser, and of its driver, and remove the folders of both."""
        _end(self.folder)


def memory_mib(browser: int) -> float:
    """Proportional memory (PSS) of a browser and all below it; 0.0 when it is gone. Slow: run it in a thread."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(browser)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # ended meanwhile
                total += _pss(process)
    return total / MIB


def sweep() -> None:
    """Remove the folders of browsers whose processes are gone: what a kill -9 of an earlier renderer left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's
            found = _read(folder)
            if found is not None and folder.stat().st_uid == os.geteuid() and not _is_ours(found.browser, folder):
                _remove(folder, found)


def step_back(nice: int, *, own_session: bool) -> None:
    """Puts this process behind whatever else runs on the machine.

    `own_session`: also where AUTOGROUP says that it needs one. It ends with its parent then, and by no Ctrl-C.
    """
    os.nice(nice)
    if not own_session or not OWN_GROUP.exists() or os.getpgrp() == os.getpid():
        return
    os.setsid()
    _weigh_session(nice)


def hurry() -> None:
    """The session of this process stands behind no longer, if it is one of its own: it is to end while others work."""
    if OWN_GROUP.exists() and os.getsid(0) == os.getpid():
        _weigh_session(0)


def _weigh_session(nice: int) -> None:
    for _ in range(10):
        try:
            OWN_GROUP.write_text(str(nice))
            return
        except BlockingIOError:
            time.sleep(0.1)
        except OSError:  # it is not for us to write
            return


@cache
def _may_keep_nice(setpriv: str) -> bool:
    """Whether we are root, and may give that right up."""
    if os.geteuid() != 0:
        return False
    probe = [setpriv, *KEEP_NICE.split(), "--", "true"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(probe, capture_output=True, timeout=PROBE_S, check=False).returncode == 0
    return False


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):  # a sandboxed renderer of another user namespace, or no Linux
        return int(process.memory_info().rss)


def _read(folder: Path) -> BrowserProcesses | None:
    try:
        browser, driver, profile = (folder / "processes").read_text().splitlines()[:3]
    except (OSError, ValueError):
        return None
    return BrowserProcesses(int(browser), int(driver), Path(profile) if profile else None)


def _is_ours(pid: int, folder: Path) -> bool:
    """Whether `pid` still is the browser that was started from `folder`, and not a later process with its number."""
    try:
        return psutil.Process(pid).create_time() <= (folder / "processes").stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False


def _end(folder: Path) -> None:
    found = _read(folder)
    if found is not None:
        victims = []
        for pid in (found.browser, found.driver):
            if _is_ours(pid, folder):
                with contextlib.suppress(psutil.Error):
                    victims += [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
        # The browser leads a process group of its own: this reaches also what has lost its parent.
        with contextlib.suppress(OSError):
            os.killpg(found.browser, signal.SIGKILL)
        for process in victims:
            with contextlib.suppress(psutil.Error):
                process.kill()
    _remove(folder, found)


def _remove(folder: Path, found: BrowserProcesses | None) -> None:
    if found is not None and found.profile is not None and found.profile.name.startswith("playwright_"):
        shutil.rmtree(found.profile, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def end_with_parent(parent: int) -> None:
    """Linux: be told to stop when the process `parent`, who started us, dies, or an orphan would go on consuming."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew that we care
            os.kill(os.getpid(), signal.SIGTERM)
