"""Which openings of dashboards are new: their charts ask for rows one by one, and a view is logged once."""

from __future__ import annotations

from services.api.cache import ExpiringCache
from shared.targets import Target, ViewState

SAME_VIEW_S = 60


class Openings:
    """Remembers each (who, what, in which state) for a minute, in this process."""

    def __init__(self) -> None:
        self._seen: ExpiringCache[tuple[str, Target, ViewState], bool] = ExpiringCache(SAME_VIEW_S)

    def is_new(self, username: str, target: Target, view_state: ViewState) -> bool:
        opening = (username, target, view_state)
        if self._seen.get(opening):
            return False
        self._seen.put(opening, True)
        return True
