"""This machine: Python, the settings as a whole, the state folder and the space it has."""

from __future__ import annotations

import math
import os
import platform
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from services.cli.checks.finding import Finding, fail, ok, warn
from shared.settings import Settings, environment

STRONG_BITS = 100  # as far as a secret's own letters tell; `openssl rand -hex 32` has about 240
FREE_FAIL, FREE_WARN = 100 * 2**20, 2**30  # bytes: SQLite stops at the first, the disk store needs the second
MIB = 2**20


def python(_: Settings) -> Iterator[Finding]:
    yield ok("python", f"{platform.python_version()} at {sys.executable}")


def settings(settings: Settings) -> Iterator[Finding]:
    """They are valid, or there would be nothing to look with: what is left is what is valid and unwise."""
    unwise = list(_unwise(settings))
    changed = len(settings.model_fields_set)
    if not unwise:
        yield ok("settings", f"{changed} are set, {len(type(settings).model_fields) - changed} have their defaults")
    for found, mend in unwise:
        yield warn("settings", found, mend)


def _unwise(settings: Settings) -> Iterator[tuple[str, str]]:
    if (bits := _bits(settings.secret_key.get_secret_value())) < STRONG_BITS:
        yield (
            f"VITRINE_SECRET_KEY could be guessed: its letters make about {bits:.0f} bits",
            "Make a new one (it ends all sessions): openssl rand -hex 32",
        )
    base = urlsplit(settings.base_url)
    if base.scheme == "http" and base.hostname not in ("127.0.0.1", "localhost", "::1"):
        yield (
            f"VITRINE_BASE_URL is {settings.base_url}: passwords and cookies travel in plain text",
            "Put a proxy with TLS in front, and set VITRINE_BASE_URL to its https:// address.",
        )
    file = environment().get("VITRINE_SETTINGS_FILE")
    if file and Path(file).stat().st_mode & stat.S_IROTH:
        yield f"{file} can be read by every user of this machine", f"chmod o= {file}"


def _bits(secret: str) -> float:
    """Of a secret as long as this whose letters come as often as here; an upper bound: a sentence has fewer."""
    shares = [count / len(secret) for count in Counter(secret).values()]
    return -len(secret) * sum(share * math.log2(share) for share in shares)


def state(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        yield fail("state", f"{folder}: {error.strerror}", "Make it writable, or set VITRINE_STATE_DIR.")
        return
    yield space(folder, shutil.disk_usage(folder).free)


def space(folder: Path, free: int) -> Finding:
    """`free` in bytes."""
    found = f"{folder.resolve()} is writable, {free // MIB:,} MiB are free"
    mend = "Make room, or set VITRINE_STATE_DIR to a larger file system."
    if free < FREE_FAIL:
        return fail("state", found, mend)
    return warn("state", found, mend) if free < FREE_WARN else ok("state", found)
