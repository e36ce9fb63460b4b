"""`vitrine up`: the three services, in one process tree (embedded) or as child processes that are kept running."""

from __future__ import annotations

import ctypes
import functools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from services.cli import embedded
from services.cli.examples import examples
from shared import logs
from shared.errors import InvalidInput
from shared.settings import Settings, load

SERVICES = ("api", "renderer", "scheduler")
RESTART_S = 1.0
EXAMPLES = examples(
    ("vitrine up", "embedded, or with VITRINE_BROKER_URL all three on RabbitMQ"),
    ("VITRINE_BIND=0.0.0.0:8088 vitrine up", "reachable from other machines"),
    ("vitrine up --services renderer", "a machine that only renders"),
    ("vitrine up --services api,scheduler", "and one that does all but render"),
)
PR_SET_PDEATHSIG = 1  # prctl(2)


def up(
    services: Annotated[
        str, typer.Option("--services", metavar="NAME[,NAME…]", help="Some of api,renderer,scheduler. Needs a broker.")
    ] = "",
) -> None:
    """Start Vitrine, until Ctrl-C or SIGTERM.

    Without VITRINE_BROKER_URL everything runs embedded in one process tree, with nothing else installed. With it, each
    service is a child process that is started again when it ends by itself.
    """
    settings = load()
    wanted = named_services(services)
    if settings.embedded:
        if set(wanted) != set(SERVICES):
            raise InvalidInput(
                "--services needs a broker; set VITRINE_BROKER_URL, or leave --services out to run all three embedded."
            )
        embedded.run(settings)
    else:
        logs.configure(settings, "up")
        raise typer.Exit(_supervise([command(name, settings) for name in wanted]))


def named_services(text: str) -> tuple[str, ...]:
    """`api,renderer` → their names; all of them for "". Raises InvalidInput for another word."""
    wanted = tuple(name.strip() for name in text.split(",") if name.strip()) or SERVICES
    unknown = [name for name in wanted if name not in SERVICES]
    if unknown:
        raise InvalidInput(f"--services: {unknown[0]!r} is none of {', '.join(SERVICES)}.", field="services")
    return wanted


def command(service: str, settings: Settings) -> list[str]:
    """The command line that runs one service by itself, as a service manager would."""
    python = [sys.executable, "-m"]
    match service:
        case "api":
            return [*python, "gunicorn", "-c", str(embedded.GATEWAY_CONFIGURATION), "services.api.wsgi:app"]
        case "renderer":
            threads = str(settings.render_threads)
            return [*python, "dramatiq", "services.renderer.worker", "--processes", "1", "--threads", threads]
        case _:
            return [*python, "services.scheduler"]


def _supervise(commands: list[list[str]]) -> int:
    """Run the commands, start again what ends by itself, and pass SIGTERM and Ctrl-C on to each, once."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    running = {i: _spawn(line) for i, line in enumerate(commands)}
    while not stopping.wait(0.2):
        for i, child in running.items():
            if child.poll() is not None:
                print(
                    f"vitrine: {' '.join(commands[i][2:4])} ended with {child.returncode}; starting it again",
                    file=sys.stderr,
                )
                if not stopping.wait(RESTART_S):
                    running[i] = _spawn(commands[i])
    for child in running.values():
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)  # to the master alone: dramatiq's workers hang on a second one
    return max((abs(child.wait()) for child in running.values()), default=0)


def _spawn(line: list[str]) -> subprocess.Popen[bytes]:
    # A session of its own, so that Ctrl-C reaches us alone; and the kernel tells it when we are killed.
    return subprocess.Popen(line, start_new_session=True, preexec_fn=_end_with_parent())


def _end_with_parent() -> Callable[[], object] | None:
    """Linux: makes the kernel send SIGTERM to a child when we die. The library is loaded here, before the fork."""
    if not sys.platform.startswith("linux"):
        return None
    return functools.partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGTERM)
