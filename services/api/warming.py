"""What the gateway has of warm-up: it asks for runs, tells what came of them, and notes who used what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from services.api.openings import Openings
from shared.catalog.port import Catalog
from shared.errors import InvalidInput
from shared.metadata.views import Views
from shared.queue import WarmPublisher
from shared.settings import Settings
from shared.warmup.choices import Sources
from shared.warmup.kindness import Kindness
from shared.warmup.runs import Runs
from shared.warmup.schedules import Schedules
from shared.warmup.start import WarmUps
from shared.warmup.strategies import Strategy
from shared.warmup.usage import Usage


@dataclass(frozen=True, slots=True)
class Warming:
    """Part of Services."""

    runs: Runs
    warm_ups: WarmUps
    kindness: Kindness
    schedules: Schedules
    usage: Usage
    openings: Openings
    catalogs: Mapping[str, Catalog]
    views: Views

    def check(self, strategy: Strategy[Any]) -> None:
        """Raises InvalidInput for what it names and no catalog has; blocks."""
        strategy.check(Sources(self.catalogs, self.views, datetime.now(UTC)))

    def catalog(self, name: str) -> Catalog:
        """Raises InvalidInput that names those that there are."""
        if name not in self.catalogs:
            known = ", ".join(self.catalogs)
            raise InvalidInput(f"There is no catalog {name[:100]!r}; known: {known}.", field="catalog")
        return self.catalogs[name]


def open_warming(
    settings: Settings, sessions: sessionmaker[Session], publisher: WarmPublisher, catalogs: Mapping[str, Catalog]
) -> Warming:
    """Connects nothing."""
    runs = Runs(sessions)
    return Warming(
        runs=runs,
        warm_ups=WarmUps(runs, publisher),
        kindness=Kindness(sessions, settings.warm_concurrency),
        schedules=Schedules(sessions, settings),
        usage=Usage(sessions),
        openings=Openings(),
        catalogs=catalogs,
        views=Views(sessions),
    )
