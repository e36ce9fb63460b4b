"""How the harness knows its processes again: a mark in their environment, inherited by whatever they start.

Only the standard library: `reaper.py` runs alone with it.
"""

from pathlib import Path

VARIABLE = "HARNESS_MARK"


def pids_with(mark: str) -> list[int]:
    """Every living process whose mark is `mark` or begins with it and a dot."""
    exact, prefix = f"{VARIABLE}={mark}".encode(), f"{VARIABLE}={mark}.".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # gone meanwhile, or another user's
                continue
            if any(variable == exact or variable.startswith(prefix) for variable in variables):
                found.append(int(entry.name))
    return found
