"""The databases that people query themselves: one engine for each kind, behind one port."""

from __future__ import annotations

from shared.catalog.sql import Dialect
from shared.engines.port import Column, Connection, Cursor, Engine, Table, Tested
from shared.engines.target import Target
from shared.engines.urls import dialect_of
from shared.metadata.models import Database
from shared.settings import Settings

__all__ = ["Column", "Connection", "Cursor", "Engine", "Table", "Tested", "open_engine", "open_target"]


def open_engine(database: Database, settings: Settings) -> Engine:
    """Connects nothing yet. Raises InvalidInput for a URL that is not ours."""
    return open_target(Target.of(database, settings))


def open_target(target: Target) -> Engine:
    match dialect_of(target.url):
        case Dialect.SQLITE:
            from shared.engines.sqlite import SqliteEngine

            return SqliteEngine(target)
        case Dialect.POSTGRESQL:
            from shared.engines.postgresql import PostgresqlEngine

            return PostgresqlEngine(target)
        case Dialect.DUCKDB:
            from shared.engines.duckdb import DuckdbEngine

            return DuckdbEngine(target)
        case Dialect.MYSQL:
            from shared.engines.mysql import MysqlEngine

            return MysqlEngine(target)
