from pathlib import Path

import pytest

from shared.catalog.yaml import export_catalog, load_catalog, read_catalog
from tests.samples.catalog import CATALOG, make_world

DEMO = Path(__file__).parents[5] / "deploy" / "demo"


def entries(path):
    """All entries by section and name; the order of lists that are sets does not count."""
    catalog, problems = read_catalog(path)
    assert problems == []
    found = {}
    for section, placed in catalog.entries.items():
        for one in placed:
            entry = one.entry if isinstance(one.entry, str) else one.entry.model_dump()
            if isinstance(entry, dict):
                for name in {"roles", "owners", "tags"} & entry.keys():
                    entry[name] = sorted(entry[name])
                for table in entry.get("tables", []):
                    found[section, table.pop("name")] = table
            name = entry if isinstance(entry, str) else entry.get("slug") or entry.get("name") or entry["username"]
            found[section, name] = {**entry, "tables": []} if "tables" in entry and isinstance(entry, dict) else entry
    return found


def test_what_is_exported_is_what_was_loaded(world):
    exported = world.folder / "exported.yaml"
    exported.write_text(export_catalog(world.sessions))
    assert entries(exported) == entries(world.folder / "catalog.yaml")
    assert load_catalog(exported, world.sessions, world.settings).unchanged == 17


def test_a_second_export_is_the_same_text(world):
    first = export_catalog(world.sessions)
    (world.folder / "exported.yaml").write_text(first)
    load_catalog(world.folder / "exported.yaml", world.sessions, world.settings)
    assert export_catalog(world.sessions) == first


@pytest.mark.parametrize(
    "sql", ["SELECT 1\n  AS one\nFROM sales", "SELECT 'a: b # c' AS x FROM sales", "SELECT '\\u00e9 ü \\t' AS x"]
)
def test_sql_survives(tmp_path, sql):
    plain = "SELECT region, count(*) AS n FROM sales GROUP BY region ORDER BY region"
    text = CATALOG.replace(plain, "|\n      " + sql.replace("\n", "\n      "))
    world = make_world(tmp_path, text=text)
    (tmp_path / "exported.yaml").write_text(export_catalog(world.sessions))
    exported = {chart.slug: chart for chart in read_catalog(tmp_path / "exported.yaml")[0].of("charts")}
    assert exported["by-region"].sql == sql


def test_an_export_shows_no_password(world):
    world.load("databases: [{name: pg, url: 'postgresql://u:hunter2@h/d'}]")
    with world.sessions.begin() as session:
        from shared.metadata.models import User

        session.get(User, 1).password_hash = "$argon2id$hash"
    text = export_catalog(world.sessions)
    assert "postgresql://u:***@h/d" in text
    assert "hunter2" not in text
    assert "argon2" not in text


def test_the_demo_catalog_has_no_problem():
    assert read_catalog(DEMO)[1] == []
