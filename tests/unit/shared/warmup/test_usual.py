from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.warmup.usual import rank

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY_9 = datetime(2026, 11, 23, 9, tzinfo=BERLIN)
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


def first(*views):
    return rank(views, MONDAY_9, HOUR, BERLIN)[0][0]


def test_the_same_hour_of_the_week_counts_more_than_popularity():
    monday = [(MONDAY_9 - WEEK * n + timedelta(minutes=10), "weekly") for n in (1, 2)]
    all_day = [(MONDAY_9 - timedelta(days=3, hours=n), "popular") for n in range(20)]
    assert first(*monday, *all_day) == "weekly"


def test_what_was_opened_lately_counts_more_than_what_was_long_ago():
    assert first((MONDAY_9 - 10 * WEEK, "old"), (MONDAY_9 - WEEK, "new")) == "new"


def test_a_habit_of_other_days_counts_a_little():
    assert first(
        (MONDAY_9 - timedelta(days=3), "friday at nine"), (MONDAY_9 - timedelta(days=3, hours=5), "at four")
    ) == ("friday at nine")


def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change():
    before_the_change = datetime(2026, 10, 19, 9, 30, tzinfo=BERLIN)  # summer time
    an_hour_off = datetime(2026, 10, 19, 10, 30, tzinfo=BERLIN)
    assert first((before_the_change, "nine"), (an_hour_off, "ten")) == "nine"


def test_the_future_is_not_looked_at():
    assert rank([(MONDAY_9 + HOUR / 2, "later")], MONDAY_9, HOUR, BERLIN) == []
