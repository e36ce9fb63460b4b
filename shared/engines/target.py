"""What an engine is opened for: the database of the catalog, with the settings' limits where it names none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL

from shared.engines.urls import parse_url
from shared.errors import QueryTooCostly
from shared.metadata.models import Database
from shared.settings import Settings

LOOK_S = 10.0  # for questions of our own: plans, schemas, tables


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    url: URL = field(repr=False)
    state_dir: Path
    timeout_s: float  # of a session that names none
    connections: int  # at once, in one process
    allow_dml: bool
    max_cost: float | None
    look_s: float = LOOK_S

    @classmethod
    def of(cls, database: Database, settings: Settings) -> Target:
        """Raises InvalidInput for a URL that is not ours."""
        return cls(
            name=database.name,
            url=parse_url(database.url),
            state_dir=settings.state_dir,
            timeout_s=database.query_timeout_s or settings.sqllab_async_timeout_s,
            connections=settings.query_connections,
            allow_dml=database.allow_dml,
            max_cost=database.max_cost,
        )

    def reads_only(self, asked: bool) -> bool:
        return asked or not self.allow_dml

    def checked_cost(self, cost: float, unit: str) -> float:
        """The cost. Raises QueryTooCostly when it is above the limit."""
        if self.max_cost is not None and cost > self.max_cost:
            raise QueryTooCostly(
                f"The database expects the query to cost {cost:,.0f} ({unit}), {cost / self.max_cost:.3g} times the "
                f"{self.max_cost:,.0f} that {self.name} allows; read less of it.",
                cost=cost,
                max_cost=self.max_cost,
            )
        return cost
