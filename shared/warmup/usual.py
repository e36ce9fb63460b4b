"""Who usually comes when: from views of the past to what will be opened in the next window. Pure.

A view counts for the window if it was in the same hours of the week, in the time zone of those who look; less the
longer ago it was. Views in the same hours of other days count a little: they tell of habits that a week is too short
to show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

K = TypeVar("K", bound=Hashable)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
HALF_LIFE = 3 * WEEK
OTHER_DAYS = 0.15  # the weight of a view in the same hours of another day, against one of the same day
ANY_TIME = 0.02  # and of one at any other time: what is popular at all breaks ties


def rank(
    views: Iterable[tuple[datetime, K]], start: datetime, window: timedelta, zone: ZoneInfo
) -> list[tuple[K, float]]:
    """What was viewed, with its score for `start` … `start` + `window`, highest first. Later views do not count."""
    scores: dict[K, float] = defaultdict(float)
    here = start.astimezone(zone)
    wall, is_workday = here.replace(tzinfo=None), here.weekday() < 5
    for at, what in views:
        if at < start:
            local = at.astimezone(zone)
            # Wall-clock times, so that nine o'clock stays nine o'clock when the clocks change.
            into_week = (local.replace(tzinfo=None) - wall) % WEEK
            same_kind = (local.weekday() < 5) == is_workday
            scores[what] += 0.5 ** ((start - at) / HALF_LIFE) * _likeness(into_week, window, same_kind=same_kind)
    return sorted(scores.items(), key=lambda entry: (-entry[1], str(entry[0])))


def _likeness(into_week: timedelta, window: timedelta, *, same_kind: bool) -> float:
    """How much a view tells of the window: `into_week` is how far after its start it was, weeks aside."""
    if into_week < window:
        return 1.0
    if into_week % DAY < window:
        return OTHER_DAYS if same_kind else OTHER_DAYS / 5
    return ANY_TIME
