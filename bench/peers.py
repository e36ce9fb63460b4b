"""The peers: shot-scraper and Celery, from requirements-bench.lock in a virtual environment of their own; and nginx."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.harness import find_chromium

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-bench.lock"
VENV = ROOT / ".venv-bench"
LAUNCH = "from playwright.sync_api import sync_playwright as s\nwith s() as p: p.chromium.launch().close()"


@cache
def python() -> Path:
    """The peers' own Python. Installs them the first time."""
    digest, stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest(), VENV / ".installed"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing the peers from {LOCK.name} into {VENV.name}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
        subprocess.run([str(VENV / "bin/python"), "-m", "pip", "install", *quiet, "-r", str(LOCK)], check=True)
        stamp.write_text(digest)
    return VENV / "bin/python"


@cache
def shot_scraper() -> tuple[Path, dict[str, str]]:
    """Its command, and the environment in which it uses our Chromium."""
    return python().with_name("shot-scraper"), with_our_chromium(python())


def package(name: str) -> str:
    """The version of one of the peers' packages."""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python(), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def with_our_chromium(python: Path) -> dict[str, str]:
    """Playwright takes no path from outside: it gets a folder laid out as its own, with a link to the browser."""
    folder = Path(tempfile.mkdtemp(prefix="vitrine-bench-browsers-"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PLAYWRIGHT_BROWSERS_PATH": str(folder),
        "PLAYWRIGHT_SKIP_VALIDATE_HOST_REQUIREMENTS": "1",
    }
    command = [str(python), "-c", LAUNCH]
    missing = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wanted = re.search(r"Executable doesn't exist at (\S+)", missing.stderr)
    if wanted is None:
        raise RuntimeError(f"Playwright does not say where it wants its browser:\n{missing.stderr[-1000:]}")
    path = Path(wanted.group(1))
    path.parent.mkdir(parents=True)
    path.symlink_to(find_chromium().resolve())
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return environment


def version(*command: str | Path) -> str:
    """The first line that a program prints about its version."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(line.strip() for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d+\.\d", line))
