"""The native catalog as YAML: read, load, export."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.yaml.columns import check_columns
from shared.catalog.yaml.exporting import export
from shared.catalog.yaml.loading import Loader, LoadReport
from shared.catalog.yaml.reading import Catalog, read_entries
from shared.catalog.yaml.references import check_references
from shared.catalog.yaml.source import Problem, read_documents
from shared.errors import InvalidInput
from shared.metadata.engine import writing
from shared.settings import Settings

__all__ = [
    "STATE_DIR",
    "Catalog",
    "LoadReport",
    "Problem",
    "export_catalog",
    "load_catalog",
    "read_catalog",
]


STATE_DIR = Path("var")  # the setting's default


def read_catalog(path: Path, state_dir: Path = STATE_DIR) -> tuple[Catalog, list[Problem]]:
    """The entries of a file or folder, and all that is wrong with them, by file and line; nothing is loaded.

    Raises InvalidInput if there is no file. `state_dir` is where relative SQLite files lie, whose tables are looked at.
    """
    documents, problems = read_documents(path)
    catalog, more = read_entries(documents)
    found = [*problems, *more, *check_references(catalog), *check_columns(catalog, state_dir)]
    return catalog, sorted(found, key=lambda problem: (problem.file, problem.line, problem.field))


def load_catalog(path: Path, sessions: sessionmaker[Session], settings: Settings) -> LoadReport:
    """Loads all of it, or nothing: what differs is created or changed, ids stay, what is not listed stays too.

    Raises InvalidInput that lists all problems, one a line.
    """
    catalog, problems = read_catalog(path, settings.state_dir)
    if problems:
        raise InvalidInput("\n".join(str(problem) for problem in problems))
    with writing(sessions) as session:
        return Loader(session, settings).load(catalog)


def export_catalog(sessions: sessionmaker[Session]) -> str:
    """The whole catalog as one YAML file. Passwords of databases are hidden; users' are not in it at all."""
    with sessions() as session:
        return export(session)
