"""The demo catalog, loaded as `make demo` and Compose load it, and queried as its people do."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.catalog.yaml import read_catalog

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "deploy" / "demo"
REGIONS = "SELECT DISTINCT region FROM country_history ORDER BY region"
Vitrine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def vitrine(tmp_path_factory: pytest.TempPathFactory) -> Vitrine:
    """The command, where the demo is loaded."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {"VITRINE_SECRET_KEY": secrets.token_hex(32), "VITRINE_STATE_DIR": str(folder)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    run("db", "upgrade").check_returncode()
    done = run("catalog", "load", str(DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    return run


def asked(vitrine: Vitrine, sql: str, database: str, user: str) -> list[str]:
    """The rows as CSV, without their header."""
    done = vitrine("query", "run", sql, "--database", database, "--user", user, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1:]


def test_both_databases_answer_the_same_question_alike(vitrine: Vitrine) -> None:
    sql = "SELECT count(*) AS n, count(delay) AS known, sum(distance) AS miles, min(day) AS since FROM flights"
    rows = {database: asked(vitrine, sql, database, "jonas") for database in ("demo", "demo-duckdb")}
    assert rows["demo"][0].replace('"', "") == rows["demo-duckdb"][0].replace('"', "")
    assert rows["demo"][0].startswith("20000,")


@pytest.mark.parametrize("database", ["demo", "demo-duckdb"])
def test_people_see_their_own_region_in_both_databases(vitrine: Vitrine, database: str) -> None:
    assert asked(vitrine, REGIONS, database, "mina") == ['"Americas"']
    assert asked(vitrine, REGIONS, database, "jonas") == ['"Europe & Central Asia"']
    assert len(asked(vitrine, REGIONS, database, "ada")) == 6


def test_loading_it_again_changes_nothing(vitrine: Vitrine) -> None:
    assert vitrine("catalog", "load", str(DEMO)).stdout.startswith("0 created, 0 changed, ")


def test_a_rule_on_a_table_is_on_its_copy_in_the_other_database() -> None:
    catalog, _ = read_catalog(DEMO)
    datasets = {dataset.name: dataset for dataset in catalog.of("datasets")}
    rules: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for dataset in datasets.values():
        own = {(rule.clause, *rule.roles) for rule in catalog.of("row_level_rules") if rule.dataset == dataset.name}
        rules.setdefault(dataset.table, {})[dataset.database] = own
    twice = {table: found for table, found in rules.items() if len(found) > 1}
    assert set(twice) == {"flights", "airports", "country_history"}
    assert {table for table, found in twice.items() if found["demo"] != found["demo-duckdb"]} == set()


def test_charts_are_drawn_from_both_databases() -> None:
    catalog, problems = read_catalog(DEMO)
    assert problems == []
    assert {chart.database for chart in catalog.of("charts")} == {"demo", "demo-duckdb"}
    assert all(database.expose_in_sqllab and database.allow_run_async for database in catalog.of("databases"))
