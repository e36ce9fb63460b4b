"""An earlier version of the product, from the repository's own history."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.harness.process import run_folder

ROOT = Path(__file__).parents[2]
# What processes of two versions share while an installation is upgraded: messages, queues, store, database.
SHARED = ("proto", "shared/messages", "shared/queue.py", "shared/store", "shared/metadata", "shared/keys.py")
WHOLE = ("services/api/app.py", "services/renderer/worker.py", "services/scheduler/__main__.py", "shared/settings.py")


class NoHistory(Exception):
    """A shallow clone, or no clone at all."""


@cache
def version_before() -> Path:
    """A folder with the last version that said something else to its peers: as it was before SHARED last changed.

    Raises NoHistory.
    """
    return _before(_git("log", "--format=%H", "--", *SHARED).split())


@cache
def version_without(path: str) -> Path:
    """A folder with the last version before this file was there. Raises NoHistory."""
    return _before(_git("log", "--format=%H", "--diff-filter=A", "--", path).split())


def _before(changes: list[str]) -> Path:
    """As it was before the first of these commits that has a whole version before it."""
    commit = next(filter(_is_whole, (f"{change}^" for change in changes)), "")
    if not commit:
        raise NoHistory("the history does not reach the version before: git fetch --unshallow")
    commit = _git("rev-parse", commit)
    folder = run_folder() / f"version-{commit[:12]}"
    if folder.exists():
        return folder
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def _is_whole(commit: str) -> bool:
    """Whether it holds all services: a history may begin with parts of them."""
    return len(_git("ls-tree", "--name-only", commit, *WHOLE).split()) == len(WHOLE)


def _git(*words: str) -> str:
    """Its output; "" when it fails."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoHistory(f"git does not run: {error}") from None
    if done.returncode and "not a git repository" in done.stderr:
        raise NoHistory("this is no clone of the repository")
    return done.stdout.strip() if done.returncode == 0 else ""
