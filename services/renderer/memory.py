"""How much memory a browser may take before it is recycled, where the settings do not say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from services.renderer.processes import MIB

SHARE = 3  # of what there is: a renderer process has two browsers, and is not alone
LEAST_MIB, MOST_MIB = 1_500, 4_000  # two warm pages of a large application; more than that is a leak


def allowance_mib(proc: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """A third of the memory of the machine, or of the control group (container, systemd unit) that we are in."""
    found = min([psutil.virtual_memory().total, *_limits(proc, groups)]) // MIB
    return max(LEAST_MIB, min(found // SHARE, MOST_MIB))


def _limits(proc: Path, groups: Path) -> Iterator[int]:
    """In bytes, of each control group around us; see cgroups(7). A group without a limit says `max`."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root, name = (groups, "memory.max") if not controllers else (groups / "memory", "memory.limit_in_bytes")
        if controllers and "memory" not in controllers.split(","):
            continue
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError, ValueError):  # none here, or none that is a number
                yield int((folder / name).read_text())
            if folder == root:
                break
