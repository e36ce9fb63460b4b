"""The view log as strategies read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from shared.metadata.models import ViewLog
from shared.targets import Target, TargetKind, ViewState

MAX_VIEWS = 500_000


@dataclass(frozen=True, slots=True)
class View:
    """Somebody opened a dashboard in a state."""

    at: datetime
    username: str
    target: Target
    view_state: ViewState


class Views:
    """Synchronous; raises DatabaseUnavailable."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def most_viewed(self, since: datetime) -> Sequence[tuple[Target, int]]:
        """Dashboards and how often their page was opened since then, the most opened first."""
        place = (ViewLog.catalog, ViewLog.target_id)
        query = (
            select(*place, func.count())
            .where(ViewLog.at >= since, ViewLog.target_kind == TargetKind.DASHBOARD.value, ViewLog.source == "page")
            .group_by(*place)
            .order_by(func.count().desc(), *place)
        )
        with self._sessions() as session:
            return [(Target(of, TargetKind.DASHBOARD, number), count) for of, number, count in session.execute(query)]

    def opened(self, since: datetime) -> Sequence[View]:
        """Each opening of a dashboard since then with its state, newest first."""
        query = (
            select(ViewLog.at, ViewLog.username, ViewLog.catalog, ViewLog.target_id, ViewLog.view_state)
            .where(ViewLog.at >= since, ViewLog.target_kind == TargetKind.DASHBOARD.value, ViewLog.source == "data")
            .order_by(ViewLog.at.desc())
            .limit(MAX_VIEWS)
        )
        # Few targets and states come often: one object for each makes comparing them cheap.
        targets = lru_cache(None)(lambda catalog, number: Target(catalog, TargetKind.DASHBOARD, number))
        states = lru_cache(None)(lambda text: ViewState.from_json(json.loads(text)))
        with self._sessions() as session:
            return [
                View(at, username, targets(catalog, number), states(json.dumps(state or {}, sort_keys=True)))
                for at, username, catalog, number, state in session.execute(query)
            ]
