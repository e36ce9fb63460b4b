import pytest

from shared.catalog.superset.datasets import affected, dataset_of
from shared.errors import InvalidInput, NotFound

ROWS = [
    {"id": 1, "database": {"database_name": "examples"}, "schema": "main", "table_name": "Sales", "sql": None},
    {"id": 2, "database": {"database_name": "examples"}, "schema": None, "table_name": "stock", "sql": ""},
    {
        "id": 3,
        "database": {"database_name": "examples"},
        "schema": "main",
        "table_name": "sold",
        "sql": "WITH x AS (SELECT * FROM sales) SELECT * FROM x JOIN other.shops USING (id)",
    },
    {"id": 4, "database": {"database_name": "examples"}, "table_name": "any", "sql": "SELECT {{ columns }} FROM"},
    {"id": 5, "database": {"database_name": "else"}, "schema": "main", "table_name": "Sales"},
]
CHARTS = [
    {"id": 10 + number, "datasource_id": number, "datasource_type": "table", "dashboards": [{"id": 20 + number % 2}]}
    for number in range(1, 6)
] + [{"id": 99, "datasource_id": 1, "datasource_type": "query", "dashboards": []}]


def of(*tables, database="examples", ignore_unknown=False):
    found = affected(map(dataset_of, ROWS), CHARTS, database, tables, ignore_unknown=ignore_unknown)
    return found.datasets, found.charts, found.dashboards


@pytest.mark.parametrize(
    ("table", "datasets"),
    [
        ("sales", ("Sales", "any", "sold")),  # the table, and a virtual dataset that reads it
        ("MAIN.sales", ("Sales", "any", "sold")),
        ('"main"."Sales"', ("Sales", "any", "sold")),
        ("warehouse.main.sales", ("Sales", "any", "sold")),  # as dbt says it
        ("elsewhere.stock", ("any", "stock")),  # the dataset names no schema: it may be that one
        ("other.shops", ("any", "sold")),
    ],
)
def test_what_reads_a_table_depends_on_it_and_so_does_what_cannot_be_parsed(table, datasets):
    assert of(table)[0] == datasets


def test_charts_and_their_dashboards_are_named_and_nothing_of_other_databases():
    assert of("sales") == (("Sales", "any", "sold"), ("11", "13", "14"), ("20", "21"))
    assert of("sales", database="else") == (("Sales",), ("15",), ("21",))


def test_a_table_that_is_not_read_is_refused_with_those_that_are_unless_it_is_to_be_passed_over():
    with pytest.raises(InvalidInput, match=r"'orders'; known: main\.sales, other\.shops, stock") as refused:
        of("sales", "orders")
    assert refused.value.field == "tables"
    assert "99" not in of("sales", "orders", ignore_unknown=True)[1]
    with pytest.raises(InvalidInput, match="no table name"):
        of("a..b")


def test_an_unknown_database_is_told_with_those_that_there_are():
    with pytest.raises(NotFound, match="known: else, examples") as refused:
        of("sales", database="nope")
    assert refused.value.field == "database"
