"""What the servers have in common: a folder, ports, processes; killed and started again in the same place."""

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar, Self

import psutil

from tests.harness.errors import HarnessError
from tests.harness.polling import wait_until
from tests.harness.ports import free_port, release_port
from tests.harness.process import ManagedProcess, run_folder


class Server:
    """Start, stop, kill9, restart, pause, resume: always on the same ports and data. `close` gives both back."""

    name: ClassVar[str]
    start_timeout_s: ClassVar[float] = 60

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=run_folder()))
        self.folder.chmod(0o755)  # some servers run as another user
        self.port = free_port()
        self._ports = [self.port]
        self.processes: list[ManagedProcess] = []  # in the order in which they start

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Self:
        """Starts it and returns once it answers; HarnessError with the end of its log when it does not."""
        try:
            for process in self.processes:
                process.start()
            self._wait_until_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def is_ready(self) -> bool:
        """Whether it answers a real request."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it as its operator would, and makes sure that nothing of it is left."""
        for process in reversed(self.processes):
            process.stop()

    def kill9(self) -> None:
        """kill -9 of everything it consists of: a power cut as far as its peers can tell. The data folder stays."""
        self._kill()

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freezes it: connections stay open and nothing answers."""
        for process in self.processes:
            process.pause()

    def resume(self) -> None:
        for process in self.processes:
            process.resume()

    def close(self) -> None:
        """Ends it for good, the quick way, and removes its folder."""
        self._kill()
        for port in self._ports:
            release_port(port)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        return bool(self.processes) and all(process.running for process in self.processes)

    @property
    def survivors(self) -> list[psutil.Process]:
        """Every living process of it."""
        return [survivor for process in self.processes for survivor in process.survivors()]

    @property
    def log(self) -> str:
        return "\n".join(f"--- {process.log_path}\n{process.log_tail()}" for process in self.processes)

    def _another_port(self) -> int:
        self._ports.append(free_port())
        return self._ports[-1]

    def _wait_until_ready(self) -> None:
        try:
            wait_until(lambda: self.is_ready() or not self.running, self.start_timeout_s, "an answer", interval_s=0.02)
        except AssertionError as error:
            raise HarnessError(f"{self.name} did not start: {error}\n{self.log}") from None
        if not self.running:
            raise HarnessError(f"{self.name} did not start\n{self.log}")

    def _kill(self) -> None:
        for process in reversed(self.processes):
            process.kill_tree()


def find_program(*candidates: str, package: str) -> Path:
    """The first program that exists: names are looked for in PATH and the sbin folders, patterns in the file system."""
    for candidate in candidates:
        if "/" in candidate:
            matches = sorted(Path("/").glob(candidate.lstrip("/")))
            if matches:
                return matches[-1]
        elif found := shutil.which(candidate) or shutil.which(candidate, path="/usr/sbin:/sbin"):
            return Path(found)
    name = candidates[0].rsplit("/", 1)[-1]
    raise HarnessError(f"no {name} on this machine: run `make system` as root, or `apt-get install {package}`")
