"""What strategies choose, and what they choose from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from shared.catalog.port import Catalog, Part, TargetInfo
from shared.errors import CatalogSignIn, CatalogUnavailable, VitrineError
from shared.identity import OPERATOR
from shared.metadata.views import Views
from shared.targets import Target, TargetKind, ViewState

PAGE = 100
ORIGIN_FAILED = (CatalogUnavailable, CatalogSignIn)


@dataclass(frozen=True, slots=True)
class Choice:
    """A target to warm. `usernames`: only for groups that these belong to; `options_only`: only what filters offer;
    `charts`: of a dashboard, only these; `changed`: they are what changed somewhere, so that those which the dashboard
    does not hold are no fault, and its picture is concerned as a whole.
    """

    target: Target
    view_state: ViewState = ViewState()
    usernames: frozenset[str] | None = None
    options_only: bool = False
    charts: frozenset[str] = frozenset()
    changed: bool = False

    @property
    def is_whole(self) -> bool:
        return self.changed or not (self.options_only or self.charts)

    def takes(self, part: Part) -> bool:
        if self.charts:
            return not part.filter_id and part.target.id in self.charts
        return not self.options_only or bool(part.filter_id)


@dataclass(frozen=True, slots=True)
class Sources:
    """What strategies choose from. Raises DatabaseUnavailable while they do.

    `troubles`: why a catalog could not be asked. The others go on without it.
    """

    catalogs: Mapping[str, Catalog]
    views: Views
    now: datetime
    troubles: dict[str, VitrineError] = field(default_factory=dict)

    @contextmanager
    def asking(self, catalog: str) -> Iterator[None]:
        """Around what is asked of a catalog: when its origin does not answer, or lets us not in, that is noted."""
        try:
            yield
        except ORIGIN_FAILED as error:
            self.troubles.setdefault(catalog, error)

    def all(self, kind: TargetKind) -> Iterator[TargetInfo]:
        """Every target of a kind in every catalog."""
        for catalog in self.catalogs.values():
            offset, count = 0, 1
            with self.asking(catalog.name):
                while offset < count:
                    count, page = catalog.list(OPERATOR, kind, offset=offset, limit=PAGE)
                    yield from page
                    offset += PAGE

    def published(self) -> Iterator[TargetInfo]:
        return (info for info in self.all(TargetKind.DASHBOARD) if info.published)
