"""An earlier version of the product, from the repository's own history."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.harness.process import run_folder

ROOT = Path(__file__).parents[2]
# What processes of two versions share while an installation is upgraded: messages, queues, store and database; rows of
# warm-up; rows of queries, and their results.
SHARED = (
    ("proto", "shared/messages", "shared/queue.py", "shared/store", "shared/metadata", "shared/keys.py"),
    ("shared/warmup",),
    ("shared/sqllab", "shared/results"),
)
WHOLE = (
    "services/api/app.py",
    "services/renderer/worker.py",
    "services/renderer/warm_worker.py",
    "services/renderer/query_worker.py",
    "services/scheduler/__main__.py",
    "shared/settings.py",
)


class NoHistory(Exception):
    """A shallow clone, or no clone at all."""


@cache
def version_before() -> Path:
    """A folder with the last version since which each part of SHARED has changed. Raises NoHistory."""
    return _version(_git("merge-base", "--octopus", *map(_before_last_change, SHARED)))  # the oldest of them


@cache
def version_without(path: str) -> Path:
    """A folder with the last version before this file was there. Raises NoHistory."""
    return _version(_before(_git("log", "--format=%H", "--diff-filter=A", "--", path).split()))


def _version(commit: str) -> Path:
    if not commit or not _is_whole(commit):
        raise NoHistory("the history does not reach the version before: git fetch --unshallow")
    commit = _git("rev-parse", commit)
    folder = run_folder() / f"version-{commit[:12]}"
    if folder.exists():
        return folder
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def _before_last_change(paths: tuple[str, ...]) -> str:
    return _before(_git("log", "--format=%H", "--", *paths).split())


def _before(changes: list[str]) -> str:
    """The first of these commits' parents that is whole; "" if none is."""
    return next(filter(_is_whole, (f"{change}^" for change in changes)), "")


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
