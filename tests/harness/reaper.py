"""Ends what a test run leaves behind, however the run died.

A process of its own whose standard input is a pipe from the test run: each line names a process group that was started
or ended. At the end of the input, which the kernel guarantees when the run dies, it kills the groups and every process
with the run's mark. (PR_SET_PDEATHSIG would not do: it fires when the *thread* that forked ends, and spares
grandchildren.)
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from marks import pids_with  # type: ignore[import-not-found]

ROUNDS = 50  # a process may fork while we look; each round is a few milliseconds


def main(run: str, folder: str) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change, group = line.split()
        (groups.add if change == "+" else groups.discard)(int(group))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(ROUNDS):
        left = pids_with(run)
        if not left:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
