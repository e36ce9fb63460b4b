"""--help teaches: every command has examples that are true, in a terminal of 80 columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.cli.__main__ import app

ROOT: Any = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def help_of(path: tuple[str, ...]) -> list[str]:
    done = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}, terminal_width=80)
    assert done.exit_code == 0
    return done.output.splitlines()


def examples_of(path: tuple[str, ...]) -> list[str]:
    return [line.strip().removeprefix("$ ") for line in help_of(path) if line.strip().startswith("$ ")]


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_examples_of_itself_within_80_columns(path: tuple[str, ...]) -> None:
    lines = help_of(path)
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage")]  # cut short
    examples = examples_of(path)
    assert examples
    assert all(" ".join(("vitrine", *path)) in example for example in examples)


@pytest.mark.parametrize("example", sorted({line for path in commands() for line in examples_of(path)}))
def test_every_example_is_a_command_that_exists_with_options_that_exist(example: str) -> None:
    line = re.split(r" [|<]|&&", example[example.index("vitrine") :])[0]
    command, words = ROOT, shlex.split(line)[1:]
    while words and (child := getattr(command, "commands", {}).get(words[0])):
        command, words = child, words[1:]
    command.make_parser(typer.Context(command)).parse_args(words)  # UsageError for one that does not exist
