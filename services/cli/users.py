"""`vitrine users`: who may log in, and with which roles."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from services.cli.examples import examples
from services.cli.parts import command_settings
from shared.catalog.access import find_principal
from shared.errors import InvalidInput, NotFound
from shared.identity import Audience, Scope, Tokens
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.users import create_user, list_users

CREATE = examples(
    ("vitrine users create ann --name 'Ann Lee' --role Admin", "asks for the password, twice"),
    ("vitrine users create bo --role Analyst --role Sales", "a role grants the datasets that name it"),
    ("vitrine users create bo --password-stdin < bo.txt", "for scripts"),
    ("vitrine users create bo --update --role Analyst", "another password, and this role only"),
)
LIST = examples(("vitrine users list", "tab-separated: for people, and for cut and grep"))
TOKEN = examples(("vitrine users token etl --scope events --days 365", "for a pipeline"))
app = typer.Typer(help="People and their roles.", no_args_is_help=True, epilog=CREATE)
MIN_PASSWORD_CHARACTERS = 8


@app.command(epilog=CREATE)
def create(
    username: Annotated[str, typer.Argument(metavar="USERNAME", help="The name to log in with.")],
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="The name that pages show.")] = "",
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="A role, such as Admin or Analyst; repeat it for more."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Change the user if there is one: roles, name and password.")
    ] = False,
) -> None:
    """Create a user.

    The password is asked for, or read from standard input; it is never an argument, which other people could see.
    """
    settings = command_settings()
    password = sys.stdin.readline().rstrip("\n") if password_stdin else _ask()
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise InvalidInput(f"The password must have at least {MIN_PASSWORD_CHARACTERS} characters.", field="password")
    factory = sessions(open_metadata(settings))
    done = create_user(factory, username, password=password, name=name, roles=role or [], update=update)
    print(f"{username}: {done}")


@app.command("list", epilog=LIST)
def list_command() -> None:
    """Show all users.

    User name, name, roles, whether they are active and can log in.
    """
    factory = sessions(open_metadata(command_settings()))
    for user in list_users(factory):
        print("\t".join(user))


@app.command(epilog=TOKEN)
def token(
    username: Annotated[
        str, typer.Argument(metavar="USERNAME", help="An active user, on whose behalf the program acts.")
    ],
    scope: Annotated[
        list[str], typer.Option("--scope", metavar="SCOPE", help=f"What it opens: {', '.join(Scope)}; repeat it.")
    ],
    days: Annotated[int, typer.Option("--days", metavar="DAYS", min=1, max=3650, help="How long it holds.")] = 90,
) -> None:
    """Print a token for a program.

    It opens its scopes and no more; switching the user off ends it.
    """
    unknown = [word for word in scope if word not in list(Scope)]
    if unknown:
        raise InvalidInput(f"--scope: {unknown[0]!r} is none of {', '.join(Scope)}.", field="scope")
    settings = command_settings()
    factory = sessions(open_metadata(settings))
    with factory() as session:
        found = find_principal(session, username)
    if found is None:
        raise NotFound(f"There is no active user {username!r}; create one with: vitrine users create {username}")
    tokens = Tokens(settings.secret_key.get_secret_value())
    print(tokens.issue(username, Audience.SERVICE, days * 86_400, [Scope(word) for word in scope]))


def _ask() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InvalidInput("The two passwords differ.", field="password")
    return password
