import pytest

from tests.samples.catalog import CATALOG


def line_of(text: str, catalog: str = CATALOG) -> int:
    return next(number for number, line in enumerate(catalog.splitlines(), 1) if text in line)


def test_the_sample_has_no_problem(check):
    assert check() == []


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("version: 1", "version: 2", "version", "must be 1, not 2"),
        ("roles: [Admin", "rolles: [Admin", "rolles", "is unknown; allowed: version, roles, users, databases"),
        ("title: Sales by region", "titel: x", "charts[0].titel", "is unknown; allowed: slug, title, description"),
        ("title: Sales by region", "titel: x", "charts[0].title", "is missing"),
        ("kind: vega-lite", "kind: pie", "charts[0].kind", "must be one of vega-lite, table, big-number"),
        ("    kind: vega-lite\n", "", "charts[0].kind", "is missing; allowed: vega-lite, table, big-number"),
        ("slug: by-region", "slug: by region", "charts[0].slug", "'by region' has a character that is not allowed"),
        ("slug: all-sales", "slug: by-region", "charts[1].slug", "'by-region' stands here twice"),
        ("{field: day, title: Day}", "{field: day}", "charts[1].spec.columns[0].title", "is missing"),
        ("align: right", "align: up", "charts[1].spec.columns[1].align", "must be 'left', 'right' or 'center'"),
        ('format: ",.2f"', "formt: x", "charts[1].spec.columns[1].formt", "allowed: field, title, format, align, bar"),
        ("label: Pay", "labl: Pay", "charts[2].spec.labl", "allowed: value, format, label"),
        ("published: true", "published: perhaps", "dashboards[0].published", "must be a valid boolean"),
        (
            "width: 6, height: 4",
            "width: 13, height: 4",
            "dashboards[0].layout.rows[0][0].width",
            "less than or equal to 12",
        ),
        ("width: 6, height: 4", "width: 7, height: 4", "dashboards[0].layout", "is 13 columns wide; a row has 12"),
        ("{chart: all-sales}", "{width: 3}", "dashboards[0].layout.rows[1][0]", "must have either chart or markdown"),
        ("type: select", "type: choice", "dashboards[0].filters[0].type", "must be 'select' or 'range'"),
        ("amount: real", "amount: money", "databases[0].tables[0].columns.amount", "must be 'text', 'integer', 'real'"),
        ("layout: {tabs:", "layout: {rows: [], tabs:", "dashboards[2].layout", "must have either rows or tabs"),
    ],
)
def test_a_problem_names_line_field_and_what_is_allowed(check, old, new, field, message):
    edited = CATALOG.replace(old, new, 1)
    found = [problem for problem in check(old, new) if f" {field}: " in problem]
    assert len(found) == 1
    assert message in found[0]
    if "is missing" not in message and new.strip():
        key = next(
            part for part in reversed(field.replace("]", "").replace("[", ".").split(".")) if not part.isdecimal()
        )
        assert f"{key}" in edited.splitlines()[int(found[0].split(":")[0]) - 1]


def test_lines_count_from_one(check):
    (problem,) = check("kind: table", "kind: tabel")
    assert problem.startswith(f"{line_of('kind: table')}: charts[1].kind: ")


def test_a_missing_field_is_reported_at_its_entry(check):
    (problem,) = check("    title: All sales\n", "")
    assert problem == f"{line_of('slug: all-sales')}: charts[1].title: is missing"


def test_all_problems_are_listed_in_the_order_of_the_file(check):
    text = (
        CATALOG.replace("version: 1", "version: x")
        .replace("kind: table", "kind: tabel")
        .replace("type: select", "type: x")
    )
    problems = check(text=text)
    assert [problem.split(": ")[1] for problem in problems] == [
        "version",
        "charts[1].kind",
        "dashboards[0].filters[0].type",
    ]


def test_what_refers_to_a_broken_entry_is_not_blamed(check):
    assert len(check("kind: vega-lite", "kind: pie")) == 1


def test_an_entry_of_the_wrong_kind_is_a_problem(check):
    assert check("charts:", "charts: 5\nother:")[0].endswith("charts: must be a list")
    assert "users[0]" in check("- {username: ada, name: Ada Ruiz, roles: [Admin]}", "- ada")[0]
