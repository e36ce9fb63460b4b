import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select

from shared.catalog.access import find_principal
from shared.errors import NotFound, QueryRefused
from shared.identity import Principal
from shared.metadata.models import Database
from shared.sqllab.access import access_to, find_database, visible_databases
from shared.sqllab.contents import Contents, read_contents
from shared.sqllab.guard import check_script
from tests.samples.catalog import CATALOG, make_world

VIEWS = """
    CREATE VIEW europe AS SELECT * FROM sales;
    CREATE VIEW names AS SELECT name FROM payroll;
    CREATE VIEW nested AS SELECT * FROM europe;
    CREATE VIRTUAL TABLE search USING fts5(region);
"""


@pytest.fixture
def world(tmp_path):
    made = make_world(tmp_path, text=CATALOG.replace("grants: [{role: Analyst},", "grants: [{role: APAC},"))
    with closing(sqlite3.connect(made.settings.state_dir / "demo.sqlite")) as demo:
        demo.executescript(VIEWS)
    yield made
    made.close()


def access(world, username):
    with world.sessions() as session, closing(sqlite3.connect(world.settings.state_dir / "demo.sqlite")) as demo:
        principal = find_principal(session, username) or Principal("")
        database = find_database(session, principal, session.scalars(select(Database.id)).one())
        contents = read_contents(access_to(session, principal, database, Contents()).dialect, demo.execute)
        return access_to(session, principal, database, contents)


def rows(world, username, sql):
    given = access(world, username)
    (statement,) = check_script(sql, given.dialect, given, limit=100).statements
    with closing(sqlite3.connect(world.settings.state_dir / "demo.sqlite")) as demo:
        return demo.execute(statement.sql).fetchall()


def test_each_sees_the_rows_that_their_rules_leave(world):
    sql = "SELECT DISTINCT region FROM sales"
    assert rows(world, "emma", sql) == [("Europe",)]
    assert rows(world, "arun", sql) == [("Asia",)]
    assert len(rows(world, "ada", sql)) == 3


@pytest.mark.parametrize("table", ["europe", "nested", "search", "search_content"])
def test_views_and_copies_of_a_table_under_a_rule_are_no_way_round(world, table):
    assert rows(world, "ada", f"SELECT count(*) FROM {table}")
    with pytest.raises(QueryRefused, match="hidden from you"):
        rows(world, "emma", f"SELECT * FROM {table}")
    assert rows(world, "emma", "SELECT * FROM names") == [("ada",)]


def test_a_view_that_is_a_dataset_under_a_rule_of_its_own_may_be_read(world):
    text = (world.folder / "catalog.yaml").read_text()
    text = text.replace(
        "row_level_rules:", "  - {name: europe, database: demo, table: europe, roles: [EMEA]}\nrow_level_rules:"
    )
    world.load(text)
    with pytest.raises(QueryRefused, match="hidden from you"):
        rows(world, "emma", "SELECT * FROM europe")
    rule = "  - {name: own, dataset: europe, roles: [EMEA], clause: \"product = 'tea'\"}\ncharts:"
    world.load(text.replace("charts:", rule, 1))
    assert rows(world, "emma", "SELECT region FROM europe ORDER BY 1") == [("Asia",), ("Europe",)]


def test_without_a_grant_of_the_schema_only_granted_datasets_are_read(world):
    world.load(
        (world.folder / "catalog.yaml").read_text().replace("{role: EMEA, schema: main}", "{role: EMEA, schema: other}")
    )
    assert rows(world, "emma", "SELECT DISTINCT region FROM sales") == [("Europe",)]
    for table in ("payroll", "names", "no_such_table", "sqlite_master"):
        with pytest.raises(QueryRefused, match=f"{table} is no table that you may read here"):
            rows(world, "emma", f"SELECT * FROM {table}")
    assert rows(world, "arun", "SELECT name FROM payroll") == [("ada",)]


@pytest.mark.parametrize("username", ["olga", "nobody"])
def test_a_database_of_which_nothing_is_granted_does_not_exist(world, username):
    with world.sessions() as session:
        principal = find_principal(session, username) or Principal("")
        number = session.scalars(select(Database.id)).one()
        assert session.scalars(select(Database).where(visible_databases(principal))).all() == []
        messages = []
        for asked in (number, number + 1):
            with pytest.raises(NotFound) as missing:
                find_database(session, principal, asked)
            messages.append(missing.value.message.replace(str(asked), "N"))
    assert len(set(messages)) == 1


def test_a_database_that_is_not_in_sql_lab_does_not_exist_even_for_the_admin(world):
    world.load((world.folder / "catalog.yaml").read_text().replace("expose_in_sqllab: true", "expose_in_sqllab: false"))
    with pytest.raises(NotFound):
        access(world, "ada")


def test_the_same_name_in_another_catalog_is_somebody_else(world):
    with world.sessions() as session, pytest.raises(NotFound):
        find_database(session, Principal("ada", frozenset({"Admin"}), catalog="superset"), 1)
