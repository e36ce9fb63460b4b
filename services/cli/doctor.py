"""`vitrine doctor`: each dependency of this installation: what was found, whether it is good, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Annotated

import structlog
import typer
from rich.console import Console

from services.cli.checks.finding import Finding, Verdict, fail, warn
from services.cli.examples import examples
from services.cli.parts import command_settings
from services.cli.up import SERVICES, named_services
from shared.errors import InvalidInput, VitrineError
from shared.remedies import REMEDIES
from shared.settings import Settings

MARKS = {Verdict.OK: "[green]✓[/]", Verdict.WARN: "[yellow]![/]", Verdict.FAIL: "[red]✗[/]"}
EXAMPLES = examples(
    ("vitrine doctor", "a line for each thing: ✓, ! or ✗, what was found, → how to mend it"),
    ("vitrine doctor --before-start && vitrine up", "start only what can work"),
    ("vitrine doctor --services api", "on a machine that has the gateway only"),
    ("vitrine doctor --json | jq -r '.findings[] | .name'", "for programs"),
)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """`place` is MODULE.FUNCTION below services/cli/checks, imported only when it is its turn: a machine without a
    renderer has no browser library.
    """

    place: str
    services: tuple[str, ...] = SERVICES  # that need what it looks at
    running: bool = False  # it looks at a service, not at what services need

    @property
    def name(self) -> str:
        return self.place.partition(".")[2]

    def __call__(self, settings: Settings) -> Iterator[Finding]:
        module, _, function = self.place.partition(".")
        run: Callable[[Settings], Iterator[Finding]] = getattr(import_module(f"services.cli.checks.{module}"), function)
        return run(settings)


CHECKS = (
    Check("machine.python"),
    Check("machine.settings"),
    Check("machine.state"),
    Check("database.database"),
    Check("database.clock"),
    Check("broker.broker"),
    Check("watching.management", services=("api", "scheduler")),
    Check("watching.traces"),
    Check("store.store"),
    Check("store.results", services=("api", "renderer")),
    Check("catalogs.catalogs"),
    Check("catalogs.databases", services=("api", "renderer")),
    Check("catalogs.hosts", services=("renderer",)),
    Check("browser.browser", services=("renderer",)),
    Check("browser.render", services=("renderer",)),
    Check("gateway.gateway", running=True),
    Check("broker.workers", running=True),
    Check("database.scheduler", running=True),
    Check("watching.processes", running=True),
)


def doctor(
    services: Annotated[
        str, typer.Option("--services", metavar="NAME[,NAME…]", help="Those of api,renderer,scheduler that run here.")
    ] = ",".join(SERVICES),
    before_start: Annotated[
        bool, typer.Option("--before-start", help="Leave out whether the services themselves run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Check everything that Vitrine needs, here and elsewhere.

    Settings, state folder, metadata database and its clock, broker and its management API, the collector of traces,
    each store, catalogs, their databases, hosts of pages, browser, fonts and a test page; then the gateway, the
    workers, the scheduler, and processes that are silent or of another version. Exit code 1 when something fails (✗);
    what is only worth knowing (!) is no failure.
    """
    chosen = named_services(services)
    findings = []
    console = Console(highlight=False, soft_wrap=True)
    for finding in examine(chosen, before_start=before_start):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    worst = max((finding.verdict for finding in findings), key=list(Verdict).index)
    if as_json:
        told = {"verdict": worst, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    raise typer.Exit(1 if worst is Verdict.FAIL else 0)


def examine(services: tuple[str, ...], *, before_start: bool = False) -> Iterator[Finding]:
    """The findings of every check that these services call for, as they come."""
    try:
        settings = command_settings()
    except InvalidInput as error:
        yield fail("settings", error.message, "Correct it; docs/reference/settings.md lists all of them.")
        return
    for check in CHECKS:
        if set(services) & set(check.services) and not (before_start and check.running):
            yield from _run(check, settings)


def _run(check: Check, settings: Settings) -> Iterator[Finding]:
    """Never raises: what a check falls over is a finding too."""
    try:
        yield from check(settings)
    except VitrineError as error:
        yield fail(check.name, error.message, REMEDIES[error.code])
    except ModuleNotFoundError as error:
        mend = f"Nothing, if no {' or '.join(check.services)} runs here: say which do with --services."
        yield warn(check.name, f"not looked at: this machine has no package {error.name}", mend)
    except Exception as error:  # the others are still worth looking at
        log.warning("check_failed", check=check.name, exc_info=error)
        yield fail(check.name, f"the check itself failed: {type(error).__name__}: {error}", REMEDIES["internal"])


def _show(console: Console, finding: Finding) -> None:
    console.print(f"{MARKS[finding.verdict]} [bold]{finding.name:<16}[/] ", end="")
    console.print(finding.found, markup=False)
    if finding.mend:
        console.print(f"                   → {finding.mend}", markup=False)
