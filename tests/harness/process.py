"""A child process with its log, its whole family, and every way to end it."""

import atexit
import contextlib
import http.client
import itertools
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import psutil

from tests.harness import marks
from tests.harness.accounts import run_as
from tests.harness.errors import HarnessError
from tests.harness.polling import wait_until
from tests.harness.ports import accepts

T = TypeVar("T")
RUN = f"run-{secrets.token_hex(6)}"
RUN_FOLDER = Path(tempfile.gettempdir()) / f"vitrine-tests-{RUN}"
_numbers = itertools.count(1)
LIVE: weakref.WeakSet["ManagedProcess"] = weakref.WeakSet()


class ManagedProcess:
    """One command in a session of its own, its output in `<folder>/<name>.log`.

    The environment is the test run's without its `VITRINE_…` variables, plus `env`. Whatever the command starts can be
    found again (`descendants`, `survivors`), also after its parent died, and dies with the test run.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        name: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(word) for word in command]
        self.name = name or Path(self.command[0]).name
        self.log_path = folder / f"{self.name}.log"
        self.stop_signal = stop_signal
        self._env, self._cwd, self._user = dict(env or {}), cwd, user
        self._mark = f"{RUN}.{next(_numbers)}"
        self._log_start = 0
        self._popen: subprocess.Popen[bytes] | None = None
        self._family: set[psutil.Process] = set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the command; may be called again once it has ended, and appends to the same log."""
        if self.running:
            raise HarnessError(f"{self.name} is already running")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("VITRINE_")}
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._popen = subprocess.Popen(
                self.command,
                env=inherited | self._env | {marks.VARIABLE: self._mark},
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **run_as(self._user),
            )
        _tell_reaper("+", self._popen.pid)
        self._family = {psutil.Process(self._popen.pid)}  # its mark may be unreadable when it runs as another user
        LIVE.add(self)
        return self

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise HarnessError(f"{self.name} was never started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """None while it runs; the negative signal number when a signal ended it."""
        return self._popen.poll() if self._popen else None

    @property
    def log(self) -> str:
        """What it wrote since its last start."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        return (
            "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:]) if self.log_path.exists() else ""
        )

    def descendants(self) -> list[psutil.Process]:
        """Every living process it started, directly or not, without itself."""
        return [process for process in self.survivors() if process.pid != self.pid]

    def survivors(self) -> list[psutil.Process]:
        """Every living process of its family, itself included: an empty list after its end means 'no orphan'."""
        if self._popen is None:
            return []
        self._popen.poll()
        for pid in marks.pids_with(self._mark):
            self._remember(pid)
        for process in list(self._family):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._family.update(process.children(recursive=True))
        return sorted(filter(_is_alive, self._family), key=lambda process: process.pid)

    def _remember(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._family.add(psutil.Process(pid))

    # --- waiting ------------------------------------------------------------------------------------------------------

    def wait(self, timeout_s: float = 10) -> int:
        """Waits for it to end by itself; returns its exit status."""
        wait_until(lambda: not self.running, timeout_s, lambda: f"the end of {self.name}\n{self.log_tail()}")
        assert self.returncode is not None
        return self.returncode

    def wait_for_log(self, pattern: str, timeout_s: float = 30) -> re.Match[str]:
        """The first match of the regular expression in what it wrote since its last start."""
        return self._wait_while_running(lambda: re.search(pattern, self.log), timeout_s, f"{pattern!r} in its log")

    def wait_for_port(self, port: int, timeout_s: float = 30) -> None:
        """Until something accepts connections on the loopback port."""
        self._wait_while_running(lambda: accepts(port), timeout_s, f"port {port}")

    def wait_for_http(self, url: str, timeout_s: float = 30, status: int = 200) -> None:
        """Until a GET of `url` is answered with `status`."""
        self._wait_while_running(lambda: http_status(url) == status, timeout_s, f"{status} from {url}")

    def _wait_while_running(self, condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
        def met_while_running() -> T | None:
            running = self.running
            if not (met := condition()) and not running:
                raise HarnessError(f"{self.name} ended with {self.returncode} before {what}:\n{self.log_tail()}")
            return met

        return wait_until(met_while_running, timeout_s, lambda: f"{what} of {self.name}\n{self.log_tail()}")

    # --- ending -------------------------------------------------------------------------------------------------------

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process itself, not to what it started."""
        self.survivors()  # remember the family while the tree is whole
        if self._popen:
            self._popen.send_signal(number)

    def terminate(self, timeout_s: float = 15) -> int:
        """Asks it to end, waits, returns its exit status; AssertionError when it does not end in time."""
        self.send(self.stop_signal)
        return self.wait(timeout_s)

    def kill9(self) -> None:
        """kill -9 of the process itself: a crash. What it started is not touched; look at `survivors`."""
        self.send(signal.SIGKILL)
        if self._popen:
            self._popen.wait(timeout=10)

    def kill_tree(self) -> None:
        """kill -9 of the process and everything it started."""
        wait_until(lambda: not self._kill_all(), 10, lambda: f"the death of {self.survivors()}", interval_s=0.01)
        if self._popen:
            self._popen.wait(timeout=10)
            _tell_reaper("-", self._popen.pid)
        LIVE.discard(self)

    def _kill_all(self) -> list[psutil.Process]:
        alive = self.survivors()
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._popen:
            self._popen.poll()
        return alive

    def pause(self) -> None:
        """SIGSTOP to the whole family: alive for the kernel, dead for everybody else."""
        family = self.survivors()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        wait_until(lambda: all(map(_is_still, family)), 10, lambda: f"the stop of {self.name}", interval_s=0.01)

    def resume(self) -> None:
        for process in self.survivors():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def stop(self, timeout_s: float = 15) -> None:
        """For tidying up: ends it politely, then whatever is left by force; content if it is dead already."""
        if self.running:
            self.resume()
            with contextlib.suppress(AssertionError):
                self.terminate(timeout_s)
        self.kill_tree()


def run_folder() -> Path:
    """Where this test run keeps what its servers write; the reaper removes it at the end."""
    RUN_FOLDER.mkdir(mode=0o755, exist_ok=True)
    return RUN_FOLDER


def http_status(url: str) -> int | None:
    """The status of a GET, None when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException):
        return None


def command_of(process: psutil.Process) -> list[str]:
    """The command line of a process; [] when it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _is_still(process: psutil.Process) -> bool:
    """A thread stops when it next enters or leaves the kernel: a little later than the signal."""
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@cache
def _reaper() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py")), RUN, str(RUN_FOLDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    atexit.register(_close_reaper, process)
    return process


def _close_reaper(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()


def _tell_reaper(change: str, group: int) -> None:
    pipe = _reaper().stdin
    assert pipe
    pipe.write(f"{change} {group}\n")
    pipe.flush()
