"""The metadata database as YAML, in the form that is loaded; what has its default value is left out."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from shared.catalog.yaml import schema
from shared.metadata.models import Chart, Dashboard, Database, Dataset, Role, RowLevelRule, User

WIDTH = 120


def export(session: Session) -> str:
    sections: dict[str, Iterable[Any]] = {
        "roles": session.scalars(select(Role.name).order_by(Role.name)),
        "users": map(_user, session.scalars(select(User).order_by(User.username))),
        "databases": map(_database, session.scalars(select(Database).order_by(Database.name))),
        "datasets": map(_dataset, session.scalars(select(Dataset).order_by(Dataset.name))),
        "row_level_rules": map(_rule, session.scalars(select(RowLevelRule).order_by(RowLevelRule.name))),
        "charts": map(_chart, session.scalars(select(Chart).order_by(Chart.slug))),
        "dashboards": map(_dashboard, session.scalars(select(Dashboard).order_by(Dashboard.slug))),
    }
    content: dict[str, Any] = {"version": schema.VERSION}
    for name, entries in sections.items():
        content[name] = [_plain(entry) for entry in entries]
    writer = YAML()
    writer.width = WIDTH
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    writer.dump(content, stream)
    return stream.getvalue()


def _plain(entry: schema.Entry | str) -> Any:
    return (
        entry
        if isinstance(entry, str)
        else _readable(entry.model_dump(mode="json", exclude_defaults=True, by_alias=True))
    )


def _readable(value: Any) -> Any:
    """Texts of several lines as blocks."""
    match value:
        case dict():
            return {name: _readable(item) for name, item in value.items()}
        case list():
            return [_readable(item) for item in value]
        case str() if "\n" in value and not any(line != line.rstrip() for line in value.split("\n")):
            return LiteralScalarString(value)
        case _:
            return value


def _user(user: User) -> schema.User:
    return schema.User(username=user.username, name=user.name, roles=_names(user.roles), active=user.active)


def _database(database: Database) -> schema.Database:
    url = make_url(database.url).render_as_string(hide_password=True)
    tables = [
        schema.Table(name=s.name, csv=s.csv, source=s.source, licence=s.licence, columns=s.columns)
        for s in database.seeds
    ]
    plain = schema.Database.model_fields.keys() - {"url", "tables", "grants"}
    return schema.Database(
        **{name: getattr(database, name) for name in plain},
        url=url,
        tables=tables,
        grants=[schema.Grant(role=grant.role.name, schema=grant.schema) for grant in database.grants],
    )


def _dataset(dataset: Dataset) -> schema.Dataset:
    return schema.Dataset(
        name=dataset.name,
        database=dataset.database.name,
        table=dataset.table,
        title=dataset.title,
        roles=_names(dataset.roles),
        data_ttl_s=dataset.data_ttl_s,
    )


def _rule(rule: RowLevelRule) -> schema.RowLevelRule:
    return schema.RowLevelRule(name=rule.name, dataset=rule.dataset.name, roles=_names(rule.roles), clause=rule.clause)


def _chart(chart: Chart) -> schema.Entry:
    models: dict[str, Any] = {
        "vega-lite": schema.VegaLiteChart,
        "table": schema.TableChart,
        "big-number": schema.BigNumberChart,
    }
    made: schema.Entry = models[chart.kind](
        **_authored(chart),
        database=chart.database.name,
        sql=chart.sql,
        kind=chart.kind,
        spec=chart.spec,
        data_ttl_s=chart.data_ttl_s,
    )
    return made


def _dashboard(dashboard: Dashboard) -> schema.Dashboard:
    slugs = {chart.id: chart.slug for chart in dashboard.charts}
    tabs = dashboard.layout["tabs"]
    rows = [[[_cell(cell, slugs) for cell in row] for row in tab["rows"]] for tab in tabs]
    if len(tabs) == 1 and not tabs[0]["id"]:
        layout = schema.Layout(rows=rows[0])
    else:
        pairs = zip(tabs, rows, strict=True)
        layout = schema.Layout(tabs=[schema.Tab(id=tab["id"], title=tab["title"], rows=own) for tab, own in pairs])
    return schema.Dashboard(
        **_authored(dashboard),
        published=dashboard.published,
        css=dashboard.css,
        metadata=dashboard.metadata_,
        filters=[schema.Filter(**definition) for definition in dashboard.filters],
        layout=layout,
    )


def _authored(made: Chart | Dashboard) -> dict[str, Any]:
    return {
        "slug": made.slug,
        "title": made.title,
        "description": made.description,
        "tags": list(made.tags),
        "owners": [owner.username for owner in made.owners],
        "created_by": made.created_by.username if made.created_by else None,
        "changed_by": made.changed_by.username if made.changed_by else None,
    }


def _cell(cell: dict[str, Any], slugs: dict[int, str]) -> schema.Cell:
    size = {"width": cell["width"], "height": cell["height"]}
    return (
        schema.Cell(chart=slugs[cell["chart"]], **size)
        if "chart" in cell
        else schema.Cell(markdown=cell["markdown"], **size)
    )


def _names(roles: Iterable[Role]) -> list[str]:
    return [role.name for role in roles]
