"""`vitrine db`: the metadata database."""

from __future__ import annotations

import typer

from services.cli.examples import examples
from services.cli.parts import command_settings
from shared.metadata.engine import open_metadata
from shared.metadata.migrations import check, upgrade
from shared.metadata.secrets import reencrypt

UPGRADE = examples(
    ("vitrine db upgrade", "SQLite in VITRINE_STATE_DIR, unless VITRINE_METADATA_URL says otherwise"),
    ("VITRINE_METADATA_URL=postgresql://vitrine@db/vitrine vitrine db upgrade", "PostgreSQL"),
)
app = typer.Typer(help="The metadata database.", no_args_is_help=True, epilog=UPGRADE)


@app.callback()
def _group() -> None:
    """Keeps `upgrade` a subcommand, so that others can join it."""


@app.command("upgrade", epilog=UPGRADE)
def upgrade_command() -> None:
    """Create the tables, or bring them up to this version. Safe to run again.

    Secrets that are not encrypted with the newest key are written anew, as by `vitrine databases encrypt`.
    """
    settings = command_settings()
    engine = open_metadata(settings)
    upgrade(engine)
    reencrypt(engine)
    print(f"{engine.url.render_as_string(hide_password=True)}: {check(engine)}")
