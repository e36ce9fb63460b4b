"""The form of a catalog in YAML: one model an entry. A field that is not listed here is an error."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

VERSION = 1
GRID_COLUMNS = 12

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Username = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$", max_length=150)]
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
SqlName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Sql = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
DataTtl = Annotated[int, Field(strict=True, ge=0, le=366 * 86_400)]  # seconds; 0: never kept
ColumnType = Literal["text", "integer", "real", "date", "datetime", "boolean"]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class User(Entry):
    username: Username
    name: str = Field("", max_length=200)
    roles: list[RoleName] = []
    active: bool = True


class Table(Entry):
    name: SqlName
    csv: str = Field(min_length=1)
    source: str = ""
    licence: str = ""
    columns: dict[SqlName, ColumnType] = Field(min_length=1)


class Grant(Entry):
    """A role that may query the database in SQL Lab; without a schema, every one."""

    role: RoleName
    schema_: str = Field("", alias="schema", max_length=100)


class Database(Entry):
    name: Slug
    url: str
    tables: list[Table] = []
    data_ttl_s: DataTtl | None = None
    warm_concurrency: int | None = Field(None, strict=True, ge=1, le=64)
    expose_in_sqllab: bool = False
    allow_run_async: bool = False
    allow_dml: bool = False
    query_timeout_s: int | None = Field(None, strict=True, ge=1, le=7 * 86_400)
    query_concurrency: int | None = Field(None, strict=True, ge=1, le=1000)
    max_cost: float | None = Field(None, gt=0, allow_inf_nan=False)
    grants: list[Grant] = []


class Dataset(Entry):
    name: Slug
    database: str
    table: str = Field(min_length=1, max_length=200)
    title: str = Field("", max_length=200)
    roles: list[RoleName] = []
    data_ttl_s: DataTtl | None = None


class RowLevelRule(Entry):
    name: Slug
    dataset: str
    roles: list[RoleName] = Field(min_length=1)
    clause: Sql


class TableColumn(Entry):
    field: str = Field(min_length=1)
    title: str
    format: str | None = None
    align: Literal["left", "right", "center"] | None = None
    bar: bool | None = None


class TableSpec(Entry):
    columns: list[TableColumn] = Field(min_length=1)
    page_rows: int | None = Field(None, strict=True, ge=1, le=10_000)


class Trend(Entry):
    x: str
    y: str


class BigNumberSpec(Entry):
    value: str = Field(min_length=1)
    format: str | None = None
    label: str | None = None
    compare: str | None = None
    compare_label: str | None = None
    trend: Trend | None = None


class _Authored(Entry):
    slug: Slug
    title: Title
    description: str = ""
    tags: list[Tag] = []
    owners: list[str] = []
    created_by: str | None = None
    changed_by: str | None = None


class _Chart(_Authored):
    database: str
    sql: Sql
    data_ttl_s: DataTtl | None = None


class VegaLiteChart(_Chart):
    kind: Literal["vega-lite"]
    spec: dict[str, Any]


class TableChart(_Chart):
    kind: Literal["table"]
    spec: TableSpec


class BigNumberChart(_Chart):
    kind: Literal["big-number"]
    spec: BigNumberSpec


Chart = Annotated[VegaLiteChart | TableChart | BigNumberChart, Field(discriminator="kind")]


class Filter(Entry):
    id: Slug
    title: Title
    type: Literal["select", "range"]
    dataset: str
    column: str = Field(min_length=1)
    multiple: bool = True
    default: list[Any] | None = None


class Cell(Entry):
    """A chart (by its slug) or a text."""

    chart: str | None = None
    markdown: str | None = None
    width: int = Field(GRID_COLUMNS, strict=True, ge=1, le=GRID_COLUMNS)
    height: int = Field(4, strict=True, ge=1, le=100)

    @model_validator(mode="after")
    def _one(self) -> Cell:
        if (self.chart is None) == (self.markdown is None):
            raise ValueError("must have either chart or markdown")
        return self


def _fits(row: list[Cell]) -> list[Cell]:
    width = sum(cell.width for cell in row)
    if width > GRID_COLUMNS:
        raise ValueError(f"is {width} columns wide; a row has {GRID_COLUMNS}")
    return row


class Tab(Entry):
    id: Slug
    title: Title
    rows: list[list[Cell]] = []

    @model_validator(mode="after")
    def _widths(self) -> Tab:
        for row in self.rows:
            _fits(row)
        return self


class Layout(Entry):
    """Rows, or tabs that have rows."""

    rows: list[list[Cell]] | None = None
    tabs: list[Tab] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Layout:
        if self.rows is not None and self.tabs is not None:
            raise ValueError("must have either rows or tabs")
        for row in self.rows or []:
            _fits(row)
        if len({tab.id for tab in self.tabs or []}) < len(self.tabs or []):
            raise ValueError("has two tabs of one id")
        return self

    def all_tabs(self) -> list[tuple[str, str, list[list[Cell]]]]:
        """(id, title, rows) of each tab; rows without tabs are one tab with an empty id."""
        return [(tab.id, tab.title, tab.rows) for tab in self.tabs or []] or [("", "", self.rows or [])]


class Dashboard(_Authored):
    published: bool = False
    css: str = ""
    metadata: dict[str, Any] = {}
    filters: list[Filter] = []
    layout: Layout = Layout()


# In the order of their references; the key is what names an entry.
SECTIONS: dict[str, tuple[Any, str]] = {
    "roles": (RoleName, ""),
    "users": (User, "username"),
    "databases": (Database, "name"),
    "datasets": (Dataset, "name"),
    "row_level_rules": (RowLevelRule, "name"),
    "charts": (Chart, "slug"),
    "dashboards": (Dashboard, "slug"),
}
