import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select

from shared.catalog.yaml import LoadReport
from shared.errors import InvalidInput
from shared.metadata.models import Chart, Dashboard, Database, Dataset, User
from tests.samples.catalog import CATALOG, SALES_CSV, make_world


def stamps(world):
    with world.sessions() as session:
        return {
            row.slug: (row.id, row.changed_on) for model in (Chart, Dashboard) for row in session.scalars(select(model))
        }


def versions(world):
    with world.sessions() as session:
        return {dataset.name: dataset.data_version for dataset in session.scalars(select(Dataset))}


def test_loading_again_changes_nothing(world):
    before = stamps(world)
    assert world.load() == LoadReport(created=0, changed=0, unchanged=17)
    assert stamps(world) == before


def test_an_edit_changes_only_what_was_edited_and_keeps_its_id(world):
    before = stamps(world)
    assert world.load(CATALOG.replace("title: Pay", "title: Wages")) == LoadReport(0, 1, 16)
    after = stamps(world)
    assert after["pay"][0] == before["pay"][0]
    assert after["pay"][1] > before["pay"][1]
    assert {slug for slug in after if after[slug] != before[slug]} == {"pay"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tags: [sales, weekly]", "tags: [weekly, monthly]"),
        ("owners: [emma, ada]", "owners: [emma]"),
        ("roles: [Analyst, EMEA]", "roles: [Analyst]"),
        ("roles: [Analyst]}\n  - {name: payroll", "roles: []}\n  - {name: payroll"),
        ("csv: payroll.csv, columns", "csv: payroll.csv, licence: CC0, columns"),
        ("[[{chart: by-region, width: 6", "[[{chart: pay, width: 6"),
    ],
)
def test_changes_of_lists_are_changes(world, old, new):
    assert world.load(CATALOG.replace(old, new, 1)).changed == 1
    assert world.load(CATALOG.replace(old, new, 1)).changed == 0


def test_what_is_not_listed_stays(world):
    world.load("version: 1\n")
    assert len(stamps(world)) == 7


def test_a_catalog_with_a_problem_loads_nothing(world):
    text = (
        CATALOG.replace("title: Pay", "title: Wages")
        .replace("chart: all-sales", "chart: x")
        .replace("kind: table", "kind: x")
    )
    with pytest.raises(InvalidInput) as refused:
        world.load(text)
    assert len(refused.value.message.splitlines()) == 2
    assert "Pay" in world.titles("ada", world.target("pay").kind)


def test_a_bad_cell_is_named_and_nothing_is_loaded(world):
    (world.folder / "sales.csv").write_text(SALES_CSV + "soon,Europe,tea,1\n")
    with pytest.raises(InvalidInput, match=r"sales\.csv:7: day: 'soon' is no date"):
        world.load(CATALOG.replace("title: Pay", "title: Wages"))
    assert "Pay" in world.titles("ada", world.target("pay").kind)
    assert len(world.rows("ada", "all-sales")) == 5


def test_a_table_is_filled_again_only_when_its_file_changed(world):
    file = world.settings.state_dir / "demo.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE sales SET amount = 99 WHERE region = 'Africa'")
    world.load()
    assert world.rows("ada", "all-sales")[-1]["amount"] == 99
    (world.folder / "sales.csv").write_text(SALES_CSV + "2024-01-06,Asia,tea,7\n")
    world.load()
    assert [row["amount"] for row in world.rows("ada", "all-sales")] == [10.0, 20.5, 30.0, None, 50.0, 7.0]
    assert versions(world) == {"sales": 2, "payroll": 1}


def test_a_lost_file_is_filled_again_without_a_new_version(world):
    (world.settings.state_dir / "demo.sqlite").unlink()
    world.load()
    assert len(world.rows("ada", "all-sales")) == 5
    assert versions(world) == {"sales": 1, "payroll": 1}


def test_another_type_of_a_column_is_new_data(world):
    world.load(CATALOG.replace("amount: real", "amount: text"))
    assert world.rows("ada", "all-sales")[0]["amount"] == "10"
    assert versions(world)["sales"] == 2


def test_a_charts_datasets_follow_its_sql(world):
    world.load(CATALOG.replace("SELECT sum(pay) AS total FROM payroll", "SELECT sum(amount) AS total FROM sales"))
    assert "Pay" in world.titles("arun", world.target("pay").kind)


def test_loading_leaves_passwords_alone(world):
    with world.sessions.begin() as session:
        session.scalars(select(User).where(User.username == "emma")).one().password_hash = "kept"
    world.load()
    with world.sessions() as session:
        assert session.scalars(select(User).where(User.username == "emma")).one().password_hash == "kept"


def test_the_metadata_database_is_no_database_of_charts(tmp_path):
    with pytest.raises(InvalidInput, match="is the metadata database"):
        make_world(tmp_path, text=CATALOG.replace("sqlite:///demo.sqlite", "sqlite:///metadata.sqlite"))


def test_a_hidden_password_means_the_stored_one(world):
    catalog = "databases: [{name: pg, url: 'postgresql://u:%s@h/d'}]"
    world.load(catalog % "pa%2Fss")
    assert world.load(catalog % "***").unchanged == 1
    with world.sessions() as session:
        assert session.scalars(select(Database.url).where(Database.name == "pg")).one() == "postgresql://u:pa%2Fss@h/d"
    with pytest.raises(InvalidInput, match="hidden"):
        world.load(catalog.replace("name: pg", "name: other") % "***")


def test_grants_follow_the_catalog(world):
    text = (world.folder / "catalog.yaml").read_text()
    assert world.load(text).changed == 0
    world.load(
        text.replace("{role: Analyst}, {role: EMEA, schema: main}", "{role: EMEA}, {role: New}").replace(
            "roles: [Admin,", "roles: [New, Admin,"
        )
    )
    with world.sessions() as session:
        database = session.scalars(select(Database)).one()
        assert {(grant.role.name, grant.schema) for grant in database.grants} == {("EMEA", ""), ("New", "")}
        assert (database.expose_in_sqllab, database.allow_dml, database.query_timeout_s) == (True, False, 600)


def test_a_duckdb_database_is_filled_and_its_rows_are_under_the_same_rules(tmp_path):
    world = make_world(tmp_path, text=CATALOG.replace("sqlite:///demo.sqlite", "duckdb:///demo.duckdb"))
    assert [row["amount"] for row in world.rows("ada", "all-sales")] == [10.0, 20.5, 30.0, None, 50.0]
    assert {row["region"] for row in world.rows("emma", "all-sales")} == {"Europe"}
    (world.folder / "sales.csv").write_text(SALES_CSV + "2024-01-06,Asia,tea,7\n")
    assert world.load(CATALOG.replace("sqlite:///demo.sqlite", "duckdb:///demo.duckdb")).changed == 1
    assert len(world.rows("ada", "all-sales")) == 6
    assert versions(world) == {"sales": 2, "payroll": 1}
    world.close()
