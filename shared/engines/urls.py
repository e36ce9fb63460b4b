"""The URLs of catalog databases: what they may be, and which dialect they mean."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared.catalog.sql import Dialect
from shared.errors import InvalidInput

_DIALECTS = {
    "sqlite": Dialect.SQLITE,
    "duckdb": Dialect.DUCKDB,
    "postgresql": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
}
_FILES = ("sqlite", "duckdb")
# What PyMySQL is told of a URL; another option would be left out in silence, also one that is there for safety.
MYSQL_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key")
_AS_IS = {"charset": "utf8mb4"}  # what is so anyway


def parse_url(url: str) -> URL:
    """A catalog database's URL.

    Raises InvalidInput unless it is sqlite:///FILE, duckdb:///FILE, postgresql://… or mysql://… (mariadb://…).
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput("url is no SQLAlchemy URL, such as sqlite:///demo.sqlite.", field="url") from None
    name = parsed.get_backend_name()
    if name not in _DIALECTS:
        raise InvalidInput(f"url must be one of {', '.join(_DIALECTS)}, not {name}.", field="url")
    if name in _FILES and (parsed.query or not parsed.database or ":" in parsed.database):
        raise InvalidInput(f"url of a file must be {name}:///FILE, without options.", field="url")
    if _DIALECTS[name] is Dialect.MYSQL:
        _check_options(parsed)
    return parsed


def _check_options(url: URL) -> None:
    for option, value in url.query.items():
        if option not in MYSQL_OPTIONS and _AS_IS.get(option) != value:
            raise InvalidInput(
                f"url has the option {option!r}, which is not known here: there are {', '.join(MYSQL_OPTIONS)}; with "
                "ssl_ca the connection is encrypted and the server's certificate is checked.",
                field="url",
            )


def dialect_of(url: str | URL) -> Dialect:
    parsed = url if isinstance(url, URL) else parse_url(url)
    return _DIALECTS[parsed.get_backend_name()]


def file_path(url: str, state_dir: Path) -> Path:
    """The file of a SQLite or DuckDB URL; a relative one lies in `state_dir`."""
    return state_dir / (parse_url(url).database or "")


def shown(url: str) -> str:
    """For people: without its password, and without options, which can hold one too."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)
