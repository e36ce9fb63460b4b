import pytest

from shared.catalog.yaml import read_catalog
from tests.samples.catalog import CATALOG, write_files

SPEC = "spec: {data: {name: rows}, mark: bar}"


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        (
            "{username: emma, roles: [Analyst, EMEA]}",
            "{username: emma, roles: [Analist, EMEA]}",
            "users[1].roles[0]",
            "'Analist'",
        ),
        (
            "name: payroll, database: demo",
            "name: payroll, database: demi",
            "datasets[1].database",
            "databases are: demo",
        ),
        ("table: payroll}", "table: SALES}", "datasets[1].table", "is the table of the dataset 'sales' already"),
        ("table: payroll}", "table: a b c}", "datasets[1].table", "is no table name"),
        (
            "emea-only, dataset: sales",
            "emea-only, dataset: sale",
            "row_level_rules[0].dataset",
            "datasets are: payroll, sales",
        ),
        ("roles: [EMEA], clause", "roles: [EMA], clause", "row_level_rules[0].roles[0]", "'EMA' is unknown"),
        ("region = 'Europe'", "region = 'Europe' LIMIT 1", "row_level_rules[0].clause", "is refused"),
        ("region = 'Europe'", "x IN (SELECT y FROM secret)", "row_level_rules[0].clause", "secret is no dataset"),
        ("database: demo\n    sql: SELECT *", "database: x\n    sql: SELECT *", "charts[1].database", "'x' is unknown"),
        ("owners: [emma, ada]", "owners: [emma, bob]", "charts[0].owners[1]", "users are: ada, arun, emma, ines, olga"),
        ("created_by: ada", "created_by: bob", "charts[0].created_by", "'bob' is unknown"),
        (
            "SELECT * FROM sales ORDER",
            "SELECT * FROM sale ORDER",
            "charts[1].sql",
            "sale is no dataset of this database",
        ),
        ("SELECT * FROM sales ORDER BY day", "DELETE FROM sales", "charts[1].sql", "DELETE is not allowed"),
        ("SELECT * FROM sales ORDER", "SELECT FROM WHERE", "charts[1].sql", "is refused"),
        (
            "[{chart: all-sales}]]",
            "[{chart: all-sale}]]",
            "dashboards[0].layout.rows[1][0].chart",
            "charts are: all-sales",
        ),
        ("[[{chart: pay}]]", "[[{chart: pays}]]", "dashboards[2].layout.tabs[1].rows[0][0].chart", "'pays' is unknown"),
        (
            "type: select, dataset: sales",
            "type: select, dataset: x",
            "dashboards[0].filters[0].dataset",
            "'x' is unknown",
        ),
        ("id: days", "id: region", "dashboards[0].filters[1].id", "stands here twice"),
        ('default: ["2024-01-01", "2024-01-05"]', "default: [x, y]", "dashboards[0].filters[1].default", "ISO date"),
        ("grants: [{role: Analyst}", "grants: [{role: Analist}", "databases[0].grants[0].role", "'Analist' is unknown"),
        ("url: sqlite:///demo.sqlite", "url: oracle://x/y", "databases[0].url", "must be one of sqlite, duckdb"),
        ("csv: payroll.csv", "csv: gone.csv", "databases[0].tables[1].csv", "there is no file gone.csv"),
        ("pay: integer", "wage: integer", "databases[0].tables[1].columns.wage", "it has: name, pay"),
        ("{name: payroll, csv", "{name: SALES, csv", "databases[0].tables[1].name", "stands here twice"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_problem(check, old, new, field, message):
    problems = check(old, new)
    assert any(f" {field}: " in problem and message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (
            "{data: {url: /static/geo/world.json}, mark: geoshape,"
            " transform: [{lookup: id, from: {data: {name: rows}, key: id}}]}",
            None,
        ),
        ("{$schema: 'https://vega.github.io/schema/vega-lite/v6.json', data: {name: rows}, mark: bar}", None),
        ("{layer: [{data: {name: rows}, mark: bar}, {data: {values: [{url: 'http://x'}]}, mark: rule}]}", None),
        ("{data: {url: 'https://evil.example/x.json'}, layer: [{data: {name: rows}}]}", "spec.data.url"),
        ("{data: {name: rows}, layer: [{data: {url: '//evil.example'}, mark: bar}]}", "spec.layer[0].data.url"),
        ("{data: {name: rows}, layer: [{data: {url: /static/geo/../../x}, mark: bar}]}", "spec.layer[0].data.url"),
        ("{data: {name: rows}, layer: [{data: {url: 'data:text/csv,a'}, mark: bar}]}", "spec.layer[0].data.url"),
        ("{data: {name: rows}, mark: image, encoding: {url: {field: a}}}", "spec.encoding.url"),
        ("{data: {name: rows}, mark: {type: bar, href: 'javascript:1'}}", "spec.mark.href"),
        ("{data: {name: rows}, mark: bar, usermeta: {embedOptions: {loader: {}}}}", "spec.usermeta"),
        ("{$schema: 'https://evil.example/v6.json', data: {name: rows}, mark: bar}", "spec.$schema"),
        ("{data: {values: [1]}, mark: bar}", "spec"),
        ("{mark: bar}", "spec"),
    ],
)
def test_a_spec_loads_only_rows_and_our_maps(check, spec, field):
    problems = check(SPEC, f"spec: {spec}")
    assert [problem.split(": ")[1] for problem in problems] == ([f"charts[0].{field}"] if field else [])


def test_tables_are_for_files(check):
    problems = check("url: sqlite:///demo.sqlite", "url: postgresql://h/d")
    assert [problem.split(": ", 1)[1] for problem in problems] == [
        "databases[0].tables: only a SQLite or DuckDB database can be filled from CSV files"
    ]
    assert check("url: sqlite:///demo.sqlite", "url: duckdb:///demo.duckdb") == []


def test_the_admin_role_need_not_be_listed(check):
    assert check("roles: [Admin, Analyst", "roles: [Analyst", CATALOG) == []


def test_a_file_that_is_not_utf_8_is_a_problem_with_its_place(tmp_path):
    path = write_files(tmp_path)
    (tmp_path / "payroll.csv").write_bytes("näme,pay\n".encode("latin-1"))
    (problem,) = read_catalog(path)[1]
    assert "databases[0].tables[1].csv: payroll.csv is no CSV in UTF-8" in str(problem)
