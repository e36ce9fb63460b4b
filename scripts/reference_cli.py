"""docs/reference/cli.md, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import typer
from reference_markdown import row

from services.cli.__main__ import app

SOURCE = "services/cli/"
INTRO = """\
# Command line

`vitrine COMMAND --help` tells the same at the prompt. Settings are the environment's `VITRINE_…`
([Settings](settings.md)). Exit codes: 0 done, 1 something of it failed (each reason is printed), 2 asked wrongly or not
possible.
"""


def page() -> str:
    lines = [INTRO]
    for path, command in _commands(typer.main.get_command(app), ()):
        lines += _command(path, command)
    return "\n".join(lines).rstrip() + "\n"


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        if not child.hidden:
            yield from _commands(child, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> list[str]:
    whole = " ".join(("vitrine", *path))
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    usage = [whole, *(["[OPTIONS]"] if options else []), *(_argument(one) for one in arguments)]
    lines = [f"## {whole}", "", *inspect.cleandoc(command.help or "").splitlines(), ""]
    lines += ["```sh", " ".join(usage), "```", ""]
    if command.params and (arguments or options):
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        lines += [row(f"`{_argument(one)}`", "", one.help) for one in arguments]
        lines += [row(_option(one), _default(one), one.help) for one in options]
        lines.append("")
    if examples := _examples(command.epilog or ""):
        lines += ["```sh", *examples, "```", ""]
    return lines


def _argument(one: Any) -> str:
    name = one.metavar or one.human_readable_name
    return f"[{name}]" if not one.required and not name.startswith("[") else name


def _option(one: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
    return names if one.is_flag else f"{names} `{one.metavar or one.type.name.upper()}`"


def _default(one: Any) -> str:
    value = one.default() if callable(one.default) else one.default
    return "" if value in (None, "", False, (), []) else f"`{value}`"


def _examples(epilog: str) -> list[str]:
    """The examples of a --help, each command with what comes of it in a comment above."""
    lines = re.sub(r"^\b\n", "", epilog).splitlines()
    found = []
    for command, what in pairwise(lines):
        if command.strip().startswith("$ "):
            found += [f"# {what.strip()}", command.strip().removeprefix("$ ")]
    return found
