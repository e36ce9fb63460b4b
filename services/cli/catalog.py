"""`vitrine catalog`: charts and dashboards from and to YAML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.examples import examples
from services.cli.parts import command_settings
from shared.catalog.yaml import STATE_DIR, export_catalog, load_catalog, read_catalog
from shared.errors import InvalidInput
from shared.metadata.engine import open_metadata, sessions
from shared.settings import load as load_settings

LOAD = ("vitrine catalog load charts/", "all *.yaml of a folder, as one catalog")
CHECK = ("vitrine catalog check charts/", "each problem as FILE:LINE: FIELD: what is wrong; exit code 2 if any")
EXPORT = ("vitrine catalog export catalog.yaml", "all of it; load takes it again")
app = typer.Typer(
    help="The native catalog, as YAML.\n\nDatabases, datasets, row-level rules, charts, dashboards, and their owners.",
    no_args_is_help=True,
    epilog=examples(CHECK, LOAD, EXPORT),
)
Source = Annotated[Path, typer.Argument(metavar="PATH", help="A YAML file, or a folder of them.", exists=True)]


@app.command(epilog=examples(LOAD, ("vitrine catalog load sales.yaml", "one file; what it does not name stays")))
def load(path: Source) -> None:
    """Load a catalog: all of it, or nothing.

    Loading it again changes only what differs; ids stay, and so does what is not listed.
    """
    settings = command_settings()
    _refuse_problems(path, settings.state_dir)
    report = load_catalog(path, sessions(open_metadata(settings)), settings)
    print(f"{report.created} created, {report.changed} changed, {report.unchanged} unchanged")


@app.command(epilog=examples(CHECK, ("vitrine catalog check sales.yaml && git push", "before others see it")))
def check(path: Source) -> None:
    """Check a catalog without loading it.

    Every problem is told, with its file, line and field. Exit code 2 when there is one.
    """
    _refuse_problems(path, _state_dir())
    print(f"{path}: no problem found")


@app.command(
    epilog=examples(EXPORT, ("vitrine catalog export | git diff --no-index catalog.yaml -", "what changed since"))
)
def export(
    output: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write; standard output if left out.")
    ] = None,
) -> None:
    """Write the catalog as YAML, in the form that load takes."""
    text = export_catalog(sessions(open_metadata(command_settings())))
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")


def _state_dir() -> Path:
    """A catalog can be checked where nothing is installed, and no setting made."""
    try:
        return load_settings().state_dir
    except InvalidInput:
        return STATE_DIR


def _refuse_problems(path: Path, state_dir: Path) -> None:
    checked, problems = read_catalog(path, state_dir)
    for line in checked.unchecked:
        print(f"vitrine: not checked: {line}", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(
            f"vitrine: {len(problems)} problem{'s' * (len(problems) > 1)} in {path}; nothing was loaded",
            file=sys.stderr,
        )
        raise typer.Exit(2)
