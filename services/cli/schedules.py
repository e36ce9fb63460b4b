"""`vitrine schedules`: when warm-ups run."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from services.cli.examples import examples
from services.cli.parts import command_settings
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.models import WarmupSchedule
from shared.warmup.due import due_times
from shared.warmup.schedules import Schedules, read

LIST = examples(("vitrine schedules list", "tab-separated: for people, and for cut and grep"))
CHECK = examples(("vitrine schedules check schedules.yaml", "the first mistake, with schedule and field"))
LOAD = examples(("vitrine schedules load schedules.yaml", "those that it has no more go"))
NEXT = examples(("vitrine schedules next mornings -n 3", "in UTC"))
app = typer.Typer(help="When warm-ups run.", no_args_is_help=True, epilog=LIST)
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A YAML file with `schedules:`.", exists=True, dir_okay=False)
]


def _schedules() -> Schedules:
    settings = command_settings()
    return Schedules(sessions(open_metadata(settings)), settings)


@app.command("list", epilog=LIST)
def list_command() -> None:
    """Show each schedule, its next due time and its last fire."""
    for told in _schedules().tell():
        row, fire = told.schedule, told.fire
        last = f"last {fire.due_at:%Y-%m-%d %H:%M:%S} {fire.outcome}" if fire else "never fired"
        status = f", {told.run.status}" if told.run else ""
        print(f"{row.name}\t{row.strategy}\t{_when(row)}\t{_next(row)}\t{last}{status}\t{row.source}")


@app.command(epilog=CHECK)
def check(path: File) -> None:
    """Check a schedules file without loading it."""
    print(f"{path}: {len(read(path))} schedules, no problem found")


@app.command(epilog=LOAD)
def load(path: File) -> None:
    """Make the schedules be what a file says.

    Those that it has no more go; those of the API are left alone.
    """
    print(f"{path}: {_schedules().load(path)} schedules loaded")


@app.command("next", epilog=NEXT)
def next_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")],
    count: Annotated[int, typer.Option("--count", "-n", metavar="COUNT", min=1, max=1000, help="How many.")] = 10,
) -> None:
    """Show the next due times of a schedule, in UTC."""
    (told,) = _schedules().tell(name)
    for due_at in islice(due_times(told.schedule, datetime.now(UTC)), count):
        print(due_at.isoformat())


def _when(row: WarmupSchedule) -> str:
    return f"{row.cron} {row.timezone}" if row.cron else f"every {row.interval_s} s"


def _next(row: WarmupSchedule) -> str:
    if row.paused:
        return "paused"
    return f"next {next(due_times(row, datetime.now(UTC))):%Y-%m-%d %H:%M:%S}" if row.enabled else "disabled"
