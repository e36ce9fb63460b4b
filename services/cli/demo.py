"""`vitrine demo`: everything embedded, a catalog of real data, every thumbnail rendered, the gallery at a printed
URL.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from services.cli.examples import examples
from services.cli.verify import verify
from shared.errors import CatalogUnavailable, InvalidInput
from shared.settings import environment

CATALOG = Path(__file__).parents[2] / "deploy" / "demo"
USERS = ("ada", "mina", "jonas")
FIRST_PORT, PORTS = 8088, 100
READY_S = 60
EXAMPLES = examples(
    ("vitrine demo", "log in as ada, mina or jonas with the password that it prints"),
    ("vitrine demo --once", "render, look at each picture, and exit 0 if all are good"),
    ("VITRINE_BIND=127.0.0.1:9000 vitrine demo", "at an address of your choice"),
)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Render, check every picture, and exit: 0 if all are good.")
    ] = False,
) -> None:
    """Start Vitrine with a demo catalog of real data.

    Every picture is rendered, with a progress bar; then the gallery is served until Ctrl-C.

    Its database, pictures and generated secrets are kept in VITRINE_STATE_DIR (default var/demo); delete that folder
    to begin afresh.
    """
    if not CATALOG.is_dir():
        raise InvalidInput(f"The demo catalog is not at {CATALOG}; run this from a checkout of the repository.")
    folder = Path(environment().get("VITRINE_STATE_DIR", "var/demo")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    url, variables = _variables(folder)
    passwords = {name: _kept(folder / f"password-{name}", secrets.token_urlsafe(9)) for name in USERS}
    _step("Loading the catalog", variables, "db", "upgrade")
    _step("", variables, "catalog", "load", str(CATALOG))
    for name, password in passwords.items():
        _step("", variables, "users", "create", name, "--password-stdin", "--update", text=password)
    with _serving(folder, url, variables) as server:
        code = subprocess.run(
            [sys.executable, "-m", "services.cli", "thumbnails", "compute"], env=variables, check=False
        ).returncode
        if once:
            raise typer.Exit(code or verify(url, passwords, variables))
        print(f"\n  The gallery is at  {url}\n\n  Log in as:")
        for name, password in passwords.items():
            print(f"    {name:<6} {password}")
        print(
            "\n  ada is the administrator; mina and jonas see different rows."
            f" Log: {folder / 'vitrine.log'}\n  Ctrl-C ends it.\n"
        )
        try:
            raise typer.Exit(server.wait())
        except KeyboardInterrupt:
            print()


def _variables(folder: Path) -> tuple[str, dict[str, str]]:
    """The gallery's URL, and the environment of the demo's processes: generated secret, free port, its own folder."""
    given = environment()
    bind = given.get("VITRINE_BIND") or f"127.0.0.1:{_free_port()}"
    url = given.get("VITRINE_BASE_URL") or f"http://{bind}"
    defaults = {
        "VITRINE_SECRET_KEY": _kept(folder / "secret-key", secrets.token_hex(32)),
        "VITRINE_BIND": bind,
        "VITRINE_BASE_URL": url,
        "VITRINE_STATE_DIR": str(folder),
    }
    return url, {**defaults, **given, "VITRINE_STATE_DIR": str(folder)}


def _kept(path: Path, fresh: str) -> str:
    """The secret in the file; a fresh one is written, readable by nobody else, the first time."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
    return path.read_text().strip()


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise InvalidInput(
        f"No port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free; set VITRINE_BIND.", field="bind"
    )


def _step(title: str, variables: dict[str, str], *command: str, text: str | None = None) -> None:
    if title:
        print(f"{title} …", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *command], env=variables, input=text, text=True, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)


@contextmanager
def _serving(folder: Path, url: str, variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`vitrine up` in a process of its own, ready, and gone afterwards."""
    log_path = folder / "vitrine.log"
    with log_path.open("ab") as log:
        server = subprocess.Popen([sys.executable, "-m", "services.cli", "up"], env=variables, stdout=log, stderr=log)
    try:
        _wait_ready(server, url, log_path)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + READY_S
    why = "no answer yet"
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 — our own http URL
                return
        except urllib.error.HTTPError as error:
            why = error.read(500).decode(errors="replace")
        except OSError as error:
            why = str(error)
        time.sleep(0.1)
    raise CatalogUnavailable(f"Vitrine did not start at {url}: {why}. Its log is {log}.")
