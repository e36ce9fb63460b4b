"""A view log with a daily and a weekly rhythm, and how well each strategy foresees it.

People, their groups (those under one set of row-level rules see the same), dashboards and filters are made up by a
generator with a fixed seed: habits (the same dashboard, in the same state, in the same hours of the week), reports that
everybody opens on Monday morning or at the end of a month, and browsing without a plan. The strategies are the real
ones; they are asked before each hour of the last week what to warm, and may warm the same number of entries.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from shared.catalog.port import Group, TargetInfo
from shared.errors import NotFound
from shared.identity import Ownership, Principal
from shared.metadata.views import View
from shared.targets import Target, TargetKind, ViewState
from shared.warmup.choices import Choice, Sources
from shared.warmup.strategies import make

VIEWS = 100_000
PEOPLE, GROUPS, DASHBOARDS = 400, 12, 150
WEEKS = 9  # the last one is foreseen
START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
KEPT = timedelta(days=1)  # how long what was opened is in the store: the default of data_ttl_s
# How much is opened in each hour of a working day; at weekends a twentieth of it.
DAY = (1, 1, 1, 1, 1, 2, 8, 40, 90, 100, 80, 65, 40, 70, 75, 60, 50, 35, 15, 8, 5, 3, 2, 1)
HABITUAL, COMMON = 0.6, 0.15  # of all views; the rest is browsing
STATES = [ViewState()] + [ViewState.of({"region": {"filterState": {"value": [f"r{n}"]}}}) for n in range(6)]

Entry = tuple[str, ViewState, str]  # dashboard, state, group: what is warm or not


@dataclass(frozen=True, slots=True)
class Habit:
    """Somebody opens a dashboard in a state in an hour of the week."""

    username: str
    dashboard: str
    state: ViewState
    hour: int


@dataclass
class Log:
    """The views in their order, and what a catalog and a view log say of them."""

    views: list[View]
    group_of: dict[str, str]
    dashboards: list[TargetInfo]
    name: str = "native"
    _times: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        self._times = [view.at for view in self.views]
        members: dict[str, list[str]] = {}
        for name, group in self.group_of.items():
            members.setdefault(group, []).append(name)
        self._groups = [Group(names[0], group, tuple(names)) for group, names in members.items()]
        self.now = START

    # As a catalog

    def list(self, _: Principal, kind: TargetKind, *, offset: int, limit: int) -> tuple[int, Sequence[TargetInfo]]:
        if kind is TargetKind.CHART:
            return 0, []
        return len(self.dashboards), self.dashboards[offset : offset + limit]

    def info(self, _: Principal, target: Target) -> TargetInfo:
        if target.kind is not TargetKind.DASHBOARD or not target.id.isdecimal() or int(target.id) >= DASHBOARDS:
            raise NotFound("The replay has no such target.")
        return self.dashboards[int(target.id)]

    def groups(self, _: Target) -> Sequence[Group]:
        return self._groups

    def popular(self, _: datetime) -> Sequence[tuple[Target, int]]:
        return ()

    # As a view log, of which nothing after `now` is known

    def opened(self, since: datetime) -> Sequence[View]:
        return self.between(since, self.now)

    def most_viewed(self, since: datetime) -> Sequence[tuple[Target, int]]:
        return Counter(view.target for view in self.between(since, self.now)).most_common()

    def between(self, first: datetime, last: datetime) -> Sequence[View]:
        return self.views[bisect_left(self._times, first) : bisect_right(self._times, last)]

    def entry(self, view: View, *, options: bool = False) -> Entry:
        """What an opening needs: its rows; or, the same in every state, what the filters offer."""
        return view.target.id, ViewState() if options else view.view_state, self.group_of[view.username]

    def favourites(self, count: int) -> Sequence[str]:
        """The ids of the dashboards that were opened most in the first week: a list that somebody wrote down then."""
        first = Counter(view.target.id for view in self.between(START, START + timedelta(weeks=1)))
        return [number for number, _ in first.most_common(count)]


def make_log(count: int = VIEWS, seed: int = 4) -> Log:
    chance = random.Random(seed)
    people = [f"user{n}" for n in range(PEOPLE)]
    group_of = {name: f"group{chance.randrange(GROUPS)}" for name in people}
    popularity = [1 / (rank + 1) ** 0.8 for rank in range(DASHBOARDS)]
    habits = [habit for name in people for habit in _habits(chance, name, popularity)]
    by_hour: dict[int, list[Habit]] = {}
    for habit in habits:
        by_hour.setdefault(habit.hour, []).append(habit)
    views = sorted(
        (_view(chance, at, people, by_hour, popularity) for at in _instants(chance, count)), key=lambda view: view.at
    )
    infos = [_info(number, chance) for number in range(DASHBOARDS)]
    return Log(views, group_of, infos)


def _habits(chance: random.Random, name: str, popularity: Sequence[float]) -> Iterator[Habit]:
    for _ in range(chance.randrange(2, 8)):
        dashboard = str(chance.choices(range(DASHBOARDS), popularity)[0])
        state = chance.choices(STATES, [6, *[1] * (len(STATES) - 1)])[0]
        hour = chance.choices(range(24), DAY)[0]
        days = range(5) if chance.random() < 0.4 else [chance.randrange(5)]  # each working day, or one of the week
        for day in days:
            yield Habit(name, dashboard, state, day * 24 + hour)


def _instants(chance: random.Random, count: int) -> Iterator[datetime]:
    weights = [DAY[hour % 24] * (1 if hour // 24 < 5 else 0.05) for hour in range(168)]
    for hour in chance.choices(range(168), weights, k=count):
        yield START + timedelta(weeks=chance.randrange(WEEKS), hours=hour, seconds=chance.randrange(3600))


def _view(
    chance: random.Random,
    at: datetime,
    people: Sequence[str],
    by_hour: dict[int, list[Habit]],
    popularity: Sequence[float],
) -> View:
    hour, kind = int((at - START) / HOUR) % 168, chance.random()
    if kind < HABITUAL and by_hour.get(hour):
        habit = chance.choice(by_hour[hour])
        return View(at, habit.username, _target(habit.dashboard), habit.state)
    if kind < HABITUAL + COMMON and hour % 24 in (8, 9):  # what everybody looks at in the morning
        return View(at, chance.choice(people), _target(str(hour // 24 % 5)), STATES[0])
    dashboard = chance.choices(range(DASHBOARDS), popularity)[0]
    state = chance.choices(STATES, [8, *[1] * (len(STATES) - 1)])[0]
    return View(at, chance.choice(people), _target(str(dashboard)), state)


@lru_cache(None)
def _target(number: str) -> Target:
    return Target("native", TargetKind.DASHBOARD, number)


def _info(number: int, chance: random.Random) -> TargetInfo:
    changed = START + timedelta(weeks=chance.random() * WEEKS)
    tags = ("daily",) if chance.random() < 0.2 else ()
    return TargetInfo(
        _target(str(number)), f"D{number}", "", Ownership(), published=True, tags=tags, changed_on=changed
    )


def hit_rate(log: Log, strategy: str, parameters: dict[str, Any], hours: Sequence[datetime], budget: int) -> float:
    """The share of views of those hours whose entry was among the first `budget` that the strategy chose before.

    Of a strategy that warms only what is in the store: of what somebody opened within KEPT before. Of one that warms
    only what filters offer, that is the entry.
    """
    chosen, hits, total = make(strategy, parameters), 0, 0
    options = strategy == "native_filter_options"
    for log.now in hours:
        sources = Sources({log.name: log}, log, log.now)  # type: ignore[dict-item,arg-type]
        kept = None
        if chosen.wanted.only_kept:
            kept = {log.entry(view) for view in log.between(log.now - KEPT, log.now)}
        warm = set(_entries(log, chosen.choose(sources), budget, kept))
        opened = [log.entry(view, options=options) for view in log.between(log.now, log.now + HOUR)]
        hits += sum(entry in warm for entry in opened)
        total += len(opened)
    return hits / max(1, total)


def perfect(log: Log, hours: Sequence[datetime], budget: int) -> float:
    """What a strategy that knows the future would reach with the same budget."""
    hits = total = 0
    for now in hours:
        counts = Counter(log.entry(view) for view in log.between(now, now + HOUR))
        hits += sum(count for _, count in counts.most_common(budget))
        total += sum(counts.values())
    return hits / max(1, total)


def _entries(log: Log, choices: Iterable[Choice], budget: int, kept: set[Entry] | None) -> list[Entry]:
    """What is warmed for choices: an entry for each group (if it is `kept`), until the budget is used up."""
    found: dict[Entry, None] = {}
    for choice in choices:
        for group in log.groups(choice.target):
            entry = choice.target.id, choice.view_state, group.access
            wanted = choice.usernames is None or not choice.usernames.isdisjoint(group.usernames)
            if wanted and (kept is None or entry in kept):
                found[entry] = None
            if len(found) >= budget:
                return list(found)
    return list(found)
