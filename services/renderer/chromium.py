"""Finding a Chromium, deciding about its sandbox, starting it, and the flags it runs with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import structlog
from playwright.async_api import Browser, Playwright

from services.renderer import webgl
from shared.errors import BrowserUnavailable
from shared.settings import Settings

log = structlog.get_logger(__name__)
Origin = Literal["setting", "installed", "playwright"]

# Headless shell first: a warm render costs half the CPU of the full browser's new headless mode.
INSTALLED = (
    "/usr/lib/chromium/chromium-headless-shell",
    "chromium-headless-shell",
    "chrome-headless-shell",
    "/usr/lib/chromium/chromium",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PLAYWRIGHT_NAMES = ("headless_shell", "chrome-headless-shell", "chrome", "Chromium", "Google Chrome for Testing")
MEND = (
    "Install one (apt install chromium-headless-shell, or: playwright install --only-shell chromium), "
    "or set VITRINE_CHROMIUM to its path."
)
PROBE_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class ChosenBrowser:
    path: Path
    origin: Origin
    version: str  # as the browser prints it, such as "Chromium 156.0.8078.79"
    webgl_driver: Path | None = None  # see services/renderer/webgl.py


def find_chromium(settings: Settings) -> ChosenBrowser:
    """The browser of the settings, else an installed one, else Playwright's own. Blocking: runs `--version`.

    Raises BrowserUnavailable, saying how to mend it. A browser named by the settings is never replaced by another.
    """
    return replace(_found(settings), webgl_driver=webgl.find_driver(settings))


def _found(settings: Settings) -> ChosenBrowser:
    if settings.chromium is not None:
        version = _version(settings.chromium)
        if version is None:
            raise BrowserUnavailable(
                f"VITRINE_CHROMIUM names {settings.chromium}, which is no browser that runs. {MEND}"
            )
        return ChosenBrowser(settings.chromium, "setting", version)
    for name in INSTALLED:
        found = shutil.which(name)
        version = _version(Path(found)) if found else None
        if found and version is not None:
            return ChosenBrowser(Path(found), "installed", version)
    for path in _playwrights():
        version = _version(path)
        if version is not None:
            return ChosenBrowser(path, "playwright", version)
    raise BrowserUnavailable(f"No Chromium was found on this machine. {MEND}")


def sandbox_works(settings: Settings) -> bool:
    """Whether to start with Chromium's sandbox: as the settings say; `auto` wherever it can run. Blocking."""
    if settings.chromium_sandbox != "auto":
        return settings.chromium_sandbox == "on"
    reason = _no_sandbox_reason()
    if reason:
        warn_no_sandbox(reason)
    return not reason


@cache  # one warning a process for each reason, however often browsers are started
def warn_no_sandbox(reason: str) -> None:
    log.warning(
        "chromium_sandbox_off", reason=reason, mend="run as a plain user, and in a container with seccomp=unconfined"
    )


async def start(
    playwright: Playwright, program: Path, chosen: ChosenBrowser, *, sandbox: bool, rules: str, limit_s: float
) -> Browser:
    """Start it through `program`, a script that runs it. Raises Playwright's Error with the browser's own words."""
    return await playwright.chromium.launch(
        executable_path=program,
        args=arguments(rules),
        chromium_sandbox=sandbox,
        # Signals are ours to handle: a browser that left by itself on SIGTERM would fail the renders being drained.
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
        env=environment(chosen),
        timeout=limit_s * 1000,
    )


def arguments(resolver_rules: str) -> list[str]:
    """Flags beyond Playwright's own: quiet offline, the same pixels everywhere, no way around the resolver rule."""
    return [
        f"--host-resolver-rules={resolver_rules}",
        "--disable-quic",
        "--no-proxy-server",  # a proxy from the environment would resolve names for the page, outside the rule
        "--dns-prefetch-disable",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-domain-reliability",
        "--disable-client-side-phishing-detection",
        "--no-pings",
        "--hide-scrollbars",
        "--mute-audio",
        "--font-render-hinting=none",  # glyphs keep their shape and place at every scale
        "--disable-lcd-text",  # coloured fringes look wrong once a picture is scaled or put on another ground
        "--disable-partial-raster",
        "--disable-notifications",
        # A page that waits for its next render is not done: its code stays, and the pool weighs it (docs/adr/0041).
        "--js-flags=--no-memory-reducer,--no-flush-bytecode",
    ]


def environment(chosen: ChosenBrowser) -> dict[str, str | float | bool]:
    """Its variables. Nothing of ours reaches it: ours hold secrets, and proxies that go around the egress rule."""
    plain = {"PATH": os.defpath, "HOME": str(Path.home()), "LANG": "C.UTF-8", "TZ": "UTC"}
    return {**plain, **webgl.environment(chosen.webgl_driver)}


def _no_sandbox_reason() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    if os.geteuid() == 0:
        return "the renderer runs as root"
    if (
        Path("/usr/lib/chromium/chrome-sandbox").exists()
        and Path("/usr/lib/chromium/chrome-sandbox").stat().st_mode & 0o4000
    ):
        return ""  # Debian's set-uid helper; works without user namespaces
    probe = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"user namespaces could not be tried: {error}"
    return "" if done.returncode == 0 else "user namespaces do not work here"


def _version(path: Path) -> str | None:
    """What the browser says of itself; None when it does not run."""
    if not path.is_file() or not os.access(path, os.X_OK):
        return None
    try:
        # --no-sandbox only matters to root, who otherwise gets a refusal instead of a version; nothing is loaded.
        done = subprocess.run(
            [path, "--version", "--no-sandbox"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^.*\d+\.\d+\.\d+\.\d+", done.stdout, re.MULTILINE)
    return found.group().strip() if done.returncode == 0 and found else None


def _playwrights() -> list[Path]:
    """Executables of the browsers that Playwright itself would use; its own command knows its folders."""
    command = [sys.executable, "-m", "playwright", "install", "--dry-run", "chromium"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    folders = [Path(line.split(":", 1)[1].strip()) for line in done.stdout.splitlines() if "Install location:" in line]
    shells_first = sorted(folders, key=lambda folder: "headless_shell" not in folder.name)
    return [path for folder in shells_first for name in PLAYWRIGHT_NAMES for path in sorted(folder.glob(f"**/{name}"))]
