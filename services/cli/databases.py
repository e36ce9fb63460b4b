"""`vitrine databases`: the databases of the catalog, which charts and people query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy import select

from services.cli.examples import examples
from services.cli.parts import command_settings
from shared.engines import open_engine
from shared.engines.urls import shown
from shared.errors import InvalidInput, VitrineError
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.models import Database
from shared.metadata.secrets import reencrypt
from shared.settings import Settings

LIST = examples(("vitrine databases list", "tab-separated; passwords are hidden"))
TEST = examples(
    ("vitrine databases test", "each of them: what answered, and in what time"),
    ("vitrine databases test demo", "this one; exit code 1 when it does not answer"),
)
ENCRYPT = examples(
    ("VITRINE_DATABASE_KEYS=new,old vitrine databases encrypt", "after it, the old key is needed no more"),
)
app = typer.Typer(help="The databases that charts and people query.", no_args_is_help=True, epilog=TEST)


@app.command("list", epilog=LIST)
def list_command() -> None:
    """Show all databases of the catalog.

    Name, URL, and what SQL Lab may do with it.
    """
    for database in _databases(command_settings(), ()):
        told = {"exposed": database.expose_in_sqllab, "async": database.allow_run_async, "dml": database.allow_dml}
        rights = ",".join(word for word, holds in told.items() if holds)
        print(f"{database.name}\t{shown(database.url)}\t{rights or '-'}")


@app.command("test", epilog=TEST)
def ask(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Databases; all when none.")] = None,
) -> None:
    """Connect to databases of the catalog, and say what answered.

    Exit code 1 when one does not.
    """
    settings = command_settings()
    failed = 0
    for database in _databases(settings, names or ()):
        try:
            tested = open_engine(database, settings).test()
        except VitrineError as error:
            failed += 1
            print(f"✗ {database.name}: {error.message}")
        else:
            warning = f" (but {tested.warning})" if tested.warning else ""
            print(f"✓ {database.name}: {tested.server} in {tested.seconds * 1000:.0f} ms{warning}")
    raise typer.Exit(1 if failed else 0)


@app.command("encrypt", epilog=ENCRYPT)
def encrypt() -> None:
    """Encrypt the URLs of all databases with the newest key.

    That is the first of VITRINE_DATABASE_KEYS, or else VITRINE_SECRET_KEY. Safe to run again.
    """
    engine = open_metadata(command_settings())
    print(f"{reencrypt(engine)} URLs were encrypted anew")


def _databases(settings: Settings, names: Sequence[str]) -> list[Database]:
    with sessions(open_metadata(settings))() as session:
        found = {database.name: database for database in session.scalars(select(Database).order_by(Database.name))}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise InvalidInput(
            f"There is no database {unknown[0]!r}; there are: {', '.join(found) or 'none'}.", field="name"
        )
    return [found[name] for name in names or found]
