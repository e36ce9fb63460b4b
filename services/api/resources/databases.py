"""Databases that somebody may query in SQL Lab, with their schemas, tables and columns, spelled as Superset does."""

from __future__ import annotations

from typing import Any

from falcon.asgi import Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.authentication import principal_of
from services.api.inputs import MAX_ID_DIGITS, read_object, read_rison
from services.api.services import Services
from services.api.view_states import refuse_unknown
from shared.engines import Engine, Tested, open_engine
from shared.engines.urls import dialect_of, parse_url
from shared.errors import InvalidInput, NotFound
from shared.identity import Principal
from shared.metadata.models import Database
from shared.sqllab.access import Access, access_to, find_database, visible_databases
from shared.sqllab.contents import Contents

Looked = tuple[Engine, Access]


class Databases:
    """GET /api/v1/database/: all at once; nobody has thousands."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        found = await self._services.blocking(self._list, principal_of(req))
        resp.media = {"count": len(found), "ids": [one["id"] for one in found], "result": found}

    def _list(self, principal: Principal) -> list[dict[str, Any]]:
        query = select(Database).where(visible_databases(principal)).order_by(Database.name)
        with self._services.sessions() as session:
            return [_document(database) for database in session.scalars(query)]


class Schemas:
    """GET /api/v1/database/{id}/schemas/: those in which they may read something."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, database_id: str) -> None:
        resp.media = {"result": await self._services.querying.reading(self._list, principal_of(req), database_id)}

    def _list(self, principal: Principal, database_id: str) -> list[str]:
        with self._services.sessions() as session:
            _, access = _look(self._services, session, principal, database_id)
        return sorted(access.open_schemas())


class Tables:
    """GET /api/v1/database/{id}/tables/?q=(schema_name:…): tables and views that they may read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, database_id: str) -> None:
        schema = _text(read_rison(req).get("schema_name"), "schema_name")
        found = await self._services.querying.reading(self._list, principal_of(req), database_id, schema)
        resp.media = {"count": len(found), "result": found}

    def _list(self, principal: Principal, database_id: str, schema: str) -> list[dict[str, str]]:
        with self._services.sessions() as session:
            engine, access = _look(self._services, session, principal, database_id)
        return [
            {"value": table.name, "label": table.name, "type": table.kind, "schema": table.schema}
            for table in engine.tables(schema)
            if access.may_read(access.known(table.schema, table.name))
        ]


class TableMetadata:
    """GET /api/v1/database/{id}/table_metadata/?name=…&schema=…: columns; 404 for a table that they may not read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, database_id: str) -> None:
        name, schema = _text(req.get_param("name"), "name"), _text(req.get_param("schema"), "schema")
        reading = self._services.querying.reading
        columns = await reading(self._list, principal_of(req), database_id, name, schema)
        resp.media = {"name": name, "columns": columns}

    def _list(self, principal: Principal, database_id: str, name: str, schema: str) -> list[dict[str, str]]:
        with self._services.sessions() as session:
            engine, access = _look(self._services, session, principal, database_id)
        may = access.may_read(access.known(schema or access.dialect.schema, name))
        columns = engine.columns(name, schema) if may else []
        if not columns:
            raise NotFound(f"There is no table {name!r}.", field="name")
        return [{"name": column.name, "type": column.type, "longType": column.type} for column in columns]


class ConnectionTest:
    """POST /api/v1/database/test_connection/ `{sqlalchemy_uri}` or `{database_name}` (one of the catalog).

    200 `{message: "OK", server, seconds, warning}`; 503 with the reason when it does not answer.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        body = await read_object(req)
        refuse_unknown(body, ("sqlalchemy_uri", "database_name"))
        url, name = (_text(body.get(field), field) for field in ("sqlalchemy_uri", "database_name"))
        if bool(url) == bool(name):
            raise InvalidInput("Say either sqlalchemy_uri or database_name.", field="sqlalchemy_uri")
        tested = await self._services.querying.reading(self._test, url, name)
        resp.media = {
            "message": "OK",
            "server": tested.server,
            "seconds": round(tested.seconds, 3),
            "warning": tested.warning,
        }

    def _test(self, url: str, name: str) -> Tested:
        with self._services.sessions() as session:
            known = session.scalar(select(Database).where(Database.name == name)) if name else None
            if name and known is None:
                raise NotFound(f"There is no database {name!r}.", field="database_name")
        try:
            return open_engine(known or Database(name="that address", url=url), self._services.settings).test()
        except InvalidInput as error:
            raise InvalidInput(error.message, field="sqlalchemy_uri") from None


def _document(database: Database) -> dict[str, Any]:
    dialect = dialect_of(database.url)
    return {
        "id": database.id,
        "database_name": database.name,
        "backend": parse_url(database.url).get_backend_name(),
        "default_schema": dialect.schema,
        "expose_in_sqllab": database.expose_in_sqllab,
        "allow_run_async": database.allow_run_async,
        "allow_dml": database.allow_dml,
    }


def _look(services: Services, session: Session, principal: Principal, database_id: str) -> Looked:
    """Raises NotFound for a database that they may not query; DatabaseUnavailable."""
    number = int(database_id) if database_id.isdecimal() and len(database_id) <= MAX_ID_DIGITS else 0
    database = find_database(session, principal, number)
    engine = services.querying.engines.of(database)
    return engine, access_to(session, principal, database, Contents(frozenset(engine.schemas())))


def _text(value: object, field: str) -> str:
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{field} must be a text.", field=field)
    return value or ""
