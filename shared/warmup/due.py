"""When a schedule is due: by cron or interval, in its time zone. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.metadata.models import WarmupSchedule

MIN_INTERVAL_S = 1
DAY = timedelta(days=1)
GAPS = 200  # of a cron expression that are looked at
EPOCH = datetime(1970, 1, 1)  # on the wall of any time zone


def check_cron(text: str) -> None:
    """Raises ValueError for what is no cron expression, or one that never comes."""
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(
            f"{str(error)[:1].lower()}{str(error)[1:]}; a cron expression is MINUTE HOUR DAY MONTH WEEKDAY, "
            "such as 30 7 * * 1-5"
        ) from None
    except StopIteration:
        raise ValueError("never comes") from None


def shortest_gap(cron: str) -> timedelta:
    """Between two of its next due times."""
    coming = islice(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)), GAPS + 1)
    return min((after - before for before, after in pairwise(coming)), default=timedelta.max)


def due_times(schedule: WarmupSchedule, after: datetime) -> Iterator[datetime]:
    """Its due times later than `after`, in UTC, for ever."""
    if schedule.cron is not None:
        for due_at in CronSim(schedule.cron, after.astimezone(ZoneInfo(schedule.timezone))):
            yield due_at.astimezone(UTC)
        return
    interval = timedelta(seconds=schedule.interval_s or MIN_INTERVAL_S)
    yield from _multiples(interval, after, ZoneInfo("UTC" if interval % DAY else schedule.timezone))


def _multiples(interval: timedelta, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Multiples since the epoch, the same for every scheduler; of days, each begins at midnight in the time zone."""
    count = math.floor((after.astimezone(zone).replace(tzinfo=None) - EPOCH) / interval)
    while True:
        due_at = (EPOCH + count * interval).replace(tzinfo=zone).astimezone(UTC)
        if due_at > after:
            yield due_at
        count += 1
