"""The operator's command, `vitrine`: every subcommand on one screen."""

from __future__ import annotations

import sys

import typer

from services.cli import (
    catalog,
    database,
    databases,
    demo,
    doctor,
    query,
    schedules,
    thumbnails,
    up,
    users,
    warmup,
    why,
)
from services.cli.examples import examples
from shared.errors import VitrineError

app = typer.Typer(
    name="vitrine",
    help="Keeps a fresh picture and warm data behind every dashboard.\n\n"
    "Settings are environment variables VITRINE_…, or lines of the file that VITRINE_SETTINGS_FILE names; "
    "docs/reference/settings.md lists them.\n\n"
    "Exit codes: 0 done, 1 something of it failed (each reason is printed), 2 asked wrongly or not possible.",
    epilog=examples(
        ("vitrine demo", "a look: real data, every picture rendered, a gallery in the browser"),
        ("vitrine doctor", "what this machine has, what is missing, and how to mend it"),
        ("vitrine db upgrade", "the first step of an installation: the tables of the catalog"),
        ("vitrine users create ann --role Admin", "somebody who may log in"),
        ("vitrine catalog load charts/", "charts and dashboards, from YAML"),
        ("vitrine up", "the gateway, the renderer and the scheduler"),
        ("vitrine thumbnails compute", "every picture that is missing or stale, now"),
        ("vitrine why dashboard/3 --user ann", "why a picture is missing, stale, or not what ann expects"),
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # one line for an error, not a box
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", epilog=up.EXAMPLES)(up.up)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("why", epilog=why.EXAMPLES)(why.why)
app.add_typer(thumbnails.app, name="thumbnails")
app.add_typer(warmup.app, name="warmup")
app.add_typer(query.app, name="query")
app.add_typer(schedules.app, name="schedules")
app.add_typer(catalog.app, name="catalog")
app.add_typer(users.app, name="users")
app.add_typer(databases.app, name="databases")
app.add_typer(database.app, name="db")


def main() -> None:
    """Run one command. A failure of ours is one line on standard error and exit code 2, never a traceback."""
    try:
        app()
    except VitrineError as error:
        sys.exit(_told(error.message))


def _told(message: str) -> int:
    print(f"vitrine: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
