"""Who was served rows of a chart: written down behind the answer, for what was warmed and for the view log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from falcon.asgi import Request

from services.api.authentication import identity_of
from services.api.inputs import target_of
from services.api.services import Services
from shared.chart_data import Answer
from shared.identity import Audience
from shared.targets import TargetKind, ViewState


@dataclass(frozen=True, slots=True)
class Opening:
    """The rows of a chart as somebody opened them: by itself, or in a dashboard with those filters."""

    chart_id: str
    dashboard_id: str | None
    data_mask: Mapping[str, Any]


def note_rows(services: Services, req: Request, opening: Opening, key: str, answer: Answer) -> None:
    """That the rows were used, if they were warmed; and which state of the dashboard was opened by whom."""
    if identity_of(req).audience is not Audience.API:
        return  # renders are no views
    note_use(services, key, answer)
    if opening.dashboard_id is not None:
        target = target_of(TargetKind.DASHBOARD, opening.dashboard_id)
        state = ViewState.of(dict(opening.data_mask))
    else:
        target, state = target_of(TargetKind.CHART, opening.chart_id), ViewState()
    principal = identity_of(req).principal
    if services.warming.openings.is_new(principal.username, target, state):
        services.note_view(principal, target, source="data", view_state=state)


def note_use(services: Services, key: str, answer: Answer) -> None:
    if answer.is_cached and answer.entry.warmed_by:
        services.warming.usage.note(key, answer.entry.computed_at)
