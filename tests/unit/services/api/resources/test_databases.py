import sqlite3

import pytest
from sqlalchemy import select

from shared.metadata.models import Database, DatabaseGrant, Role


@pytest.fixture(autouse=True)
def _in_sql_lab(gateway, settings):
    """The shop's database, with a table that no dataset names; analysts have no grant but the dataset's."""
    with sqlite3.connect(settings.state_dir / "shop.sqlite") as shop:
        shop.execute("CREATE TABLE Payroll (name TEXT, pay INTEGER)")
    with gateway.services.sessions.begin() as session:
        session.scalars(select(Database)).one().expose_in_sqllab = True


def grant(gateway, role):
    with gateway.services.sessions.begin() as session:
        database = session.scalars(select(Database)).one()
        database.grants.append(DatabaseGrant(role=session.scalars(select(Role).where(Role.name == role)).one()))


async def names(gateway, username):
    answer = await gateway.get("/api/v1/database/1/tables/?q=(schema_name:main)", username)
    return [table["value"] for table in answer.json["result"]]


async def test_those_that_somebody_may_query_are_listed(gateway):
    (shop,) = (await gateway.get("/api/v1/database/")).json["result"]
    assert (shop["database_name"], shop["backend"], shop["allow_run_async"]) == ("shop", "sqlite", False)
    assert (await gateway.get("/api/v1/database/", "guy")).json == {"count": 0, "ids": [], "result": []}
    assert (await gateway.get("/api/v1/database/1/schemas/")).json == {"result": ["main"]}


async def test_tables_that_are_not_granted_are_not_listed(gateway):
    assert await names(gateway, "ben") == ["sales"]
    assert await names(gateway, "ada") == ["Payroll", "sales"]
    grant(gateway, "Analyst")
    assert await names(gateway, "ben") == ["Payroll", "sales"]


async def test_columns_are_told_of_tables_that_may_be_read(gateway):
    answer = await gateway.get("/api/v1/database/1/table_metadata/?name=sales&schema=main")
    assert [(column["name"], column["type"]) for column in answer.json["columns"]] == [
        ("region", "TEXT"),
        ("amount", "INTEGER"),
    ]
    told = [await gateway.get(f"/api/v1/database/1/table_metadata/?name={name}") for name in ("Payroll", "nothing")]
    assert [answer.status_code for answer in told] == [404, 404]
    assert [answer.json["code"] for answer in told] == ["not_found", "not_found"]


@pytest.mark.parametrize("path", ["schemas/", "tables/", "table_metadata/?name=sales"])
async def test_a_database_that_somebody_may_not_query_is_as_unknown_as_any(gateway, path):
    told = [await gateway.get(f"/api/v1/database/{number}/{path}", "guy") for number in ("1", "7", "x", "9" * 30)]
    assert [answer.status_code for answer in told] == [404] * 4


async def test_what_is_asked_wrongly_names_the_field(gateway):
    answer = await gateway.get("/api/v1/database/1/tables/?q=(schema_name:5)")
    assert (answer.status_code, answer.json["field"]) == (400, "schema_name")


async def connection_test(gateway, body, username="ada"):
    return await gateway.post("/api/v1/database/test_connection/", username, json=body)


async def test_an_admin_tests_a_connection(gateway, settings):
    for body in ({"database_name": "shop"}, {"sqlalchemy_uri": f"sqlite:///{settings.state_dir / 'shop.sqlite'}"}):
        answer = (await connection_test(gateway, body)).json
        assert (answer["message"], answer["server"].split()[0]) == ("OK", "SQLite")
    assert (await connection_test(gateway, {"database_name": "shop"}, "ben")).status_code == 404


async def test_a_database_that_does_not_answer_is_told_with_the_reason_and_without_its_password(gateway):
    answer = await connection_test(gateway, {"sqlalchemy_uri": "postgresql://vitrine:hush@127.0.0.1:1/shop"})
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "sqlalchemy_uri"),
        ({"sqlalchemy_uri": "oracle://x"}, 400, "sqlalchemy_uri"),
        ({"sqlalchemy_uri": "sqlite:///x", "database_name": "shop"}, 400, "sqlalchemy_uri"),
        ({"database_name": "nothing"}, 404, "database_name"),
        ({"uri": "sqlite:///x"}, 400, "uri"),
    ],
)
async def test_a_connection_that_is_named_wrongly_is_refused_with_the_field(gateway, body, status, field):
    answer = await connection_test(gateway, body)
    assert (answer.status_code, answer.json["field"]) == (status, field)
