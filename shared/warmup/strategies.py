"""Strategies: what to warm. Each is a small class with parameters of its own; `make` builds one from what people write.

A strategy names targets; who sees what of them, and so how often each is warmed, is decided in planning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, model_validator

from shared.catalog.port import Wanted
from shared.errors import InvalidInput
from shared.metadata.views import View
from shared.targets import Target, TargetKind, ViewState
from shared.warmup.choices import Choice, Sources
from shared.warmup.ids import MAX_NAMED, by_id
from shared.warmup.inputs import Form, Listed, Since, Span, Timezone, fill, since, span
from shared.warmup.usual import rank

F = TypeVar("F", bound=Form)
NATIVE = "native"


class Strategy(ABC, Generic[F]):
    """`name` and the class's docstring are what people see; `wanted` says how warm is warm."""

    name: ClassVar[str]
    form: ClassVar[type[Form]]
    public: ClassVar[bool] = True  # people may choose it; others are ours
    only_kept_pictures: ClassVar[bool] = False  # pictures that somebody has; not of everybody who could have one

    def __init__(self, parameters: F) -> None:
        self.parameters = parameters

    @property
    def wanted(self) -> Wanted:
        return Wanted()

    @abstractmethod
    def choose(self, sources: Sources) -> Iterable[Choice]: ...

    def check(self, sources: Sources) -> None:
        """Raises InvalidInput for what the parameters name and is not there, as far as the catalogs answer."""


class Nothing(Form):
    pass


class Dummy(Strategy[Nothing]):
    """Every published dashboard, and every chart."""

    name, form = "dummy", Nothing

    def choose(self, sources: Sources) -> Iterable[Choice]:
        yield from (Choice(info.target) for info in sources.published())
        yield from (Choice(info.target) for info in sources.all(TargetKind.CHART))


class TopForm(Form):
    top_n: int = Field(5, ge=1, le=10_000, description="How many dashboards.")
    since: Since = Field("7 days ago", description="Views since then count: a span such as 7d, or an ISO date.")


class TopNDashboards(Strategy[TopForm]):
    """The dashboards that were opened most often."""

    name, form = "top_n_dashboards", TopForm

    def choose(self, sources: Sources) -> Iterable[Choice]:
        """What is there no more takes nobody's place; where it stands among them it is chosen, to be told of."""
        first, left = since(self.parameters.since, sources.now), self.parameters.top_n
        counts = Counter(dict(sources.views.most_viewed(first)))
        for catalog in sources.catalogs.values():
            with sources.asking(catalog.name):
                counts.update(dict(catalog.popular(first)))  # adds: who opened it here did not open it there
        there = {info.target for info in sources.all(TargetKind.DASHBOARD)}
        for target in sorted(counts, key=lambda target: (-counts[target], str(target))):
            if left == 0:
                return
            yield Choice(target)
            left -= target in there or target.catalog in sources.troubles


class TagsForm(Form):
    tags: Listed = Field(min_length=1, max_length=100, description="Dashboards with any of these tags.")


class DashboardTags(Strategy[TagsForm]):
    """Published dashboards with one of the tags."""

    name, form = "dashboard_tags", TagsForm

    def choose(self, sources: Sources) -> Iterable[Choice]:
        tags = set(self.parameters.tags)
        return [Choice(info.target) for info in sources.published() if tags & set(info.tags)]

    def check(self, sources: Sources) -> None:
        known = {tag for info in sources.published() for tag in info.tags}
        unknown = [tag for tag in self.parameters.tags if tag not in known]
        if unknown and not sources.troubles:
            told = f"No published dashboard has the tag {', '.join(map(repr, unknown[:MAX_NAMED]))}; "
            told += f"known: {', '.join(sorted(known)[:MAX_NAMED]) or 'none'}{', …' * (len(known) > MAX_NAMED)}."
            raise InvalidInput(told, field="parameters.tags")


class FilterForm(Form):
    dashboard_ids: Listed = Field([], max_length=10_000, description="These dashboards; empty: all published ones.")


class NativeFilterOptions(Strategy[FilterForm]):
    """What the filters of dashboards offer."""

    name, form = "native_filter_options", FilterForm

    def choose(self, sources: Sources) -> Iterable[Choice]:
        ids = self.parameters.dashboard_ids
        found = by_id(sources, TargetKind.DASHBOARD, ids, "dashboard_ids") if ids else list(sources.published())
        return [Choice(info.target, options_only=True) for info in found]

    def check(self, sources: Sources) -> None:
        self.choose(sources)


class ChangedForm(Form):
    since: Since = Field("24h", description="Changed since then: a span such as 24h, or an ISO date.")


class RecentlyChanged(Strategy[ChangedForm]):
    """Published dashboards, and charts, that were edited lately."""

    name, form = "recently_changed", ChangedForm

    def choose(self, sources: Sources) -> Iterable[Choice]:
        first = since(self.parameters.since, sources.now)
        for info in (*sources.published(), *sources.all(TargetKind.CHART)):
            if info.changed_on is not None and info.changed_on >= first:
                yield Choice(info.target)


class IdsForm(Form):
    dashboards: Listed = Field([], max_length=10_000, description="Ids of dashboards.")
    charts: Listed = Field([], max_length=10_000, description="Ids of charts.")
    within: str | None = Field(None, description="A dashboard's id: the charts under the defaults of its filters.")
    catalog: str = Field("native", description="The catalog whose ids they are.")

    @model_validator(mode="after")
    def _some(self) -> IdsForm:
        if not self.dashboards and not self.charts:
            raise ValueError("needs dashboards or charts")
        return self


class Ids(Strategy[IdsForm]):
    """Dashboards and charts by their ids."""

    name, form = "ids", IdsForm
    missing_ok = False

    def choose(self, sources: Sources) -> Iterable[Choice]:
        asked = self.parameters
        if asked.catalog not in sources.catalogs:
            known = ", ".join(sources.catalogs)
            raise InvalidInput(f"There is no catalog {asked.catalog!r}; known: {known}.", field="parameters.catalog")
        mine = replace(sources, catalogs={asked.catalog: sources.catalogs[asked.catalog]})
        boards = by_id(mine, TargetKind.DASHBOARD, asked.dashboards, "dashboards", missing_ok=self.missing_ok)
        charts = by_id(mine, TargetKind.CHART, asked.charts, "charts", missing_ok=self.missing_ok)
        yield from (Choice(info.target) for info in boards)
        if not asked.within or not charts:
            yield from (Choice(info.target) for info in charts)
            return
        for info in by_id(mine, TargetKind.DASHBOARD, [asked.within], "within"):
            yield Choice(info.target, charts=frozenset(chart.target.id for chart in charts))

    def check(self, sources: Sources) -> None:
        list(self.choose(sources))


class Changed(Ids):
    """What a data-changed event affects."""

    name, public = "data_changed", False
    missing_ok = True  # Superset tells of a chart's dashboards also those that we may not see, such as drafts
    only_kept_pictures = True

    def choose(self, sources: Sources) -> Iterable[Choice]:
        """Of our own dashboards all is named: what did not change is warm already. Elsewhere warming is forced."""
        charts = frozenset(self.parameters.charts)
        for choice in super().choose(sources):
            forced = choice.target.catalog != NATIVE and choice.target.kind is TargetKind.DASHBOARD
            yield replace(choice, charts=charts, changed=True) if forced else choice


class StaleForm(Form):
    within: Span = Field("1h", description="What grows stale within this span, or has already.")


class Stale(Strategy[StaleForm]):
    """What is warm now and is about to grow stale."""

    name, form = "stale", StaleForm
    only_kept_pictures = True

    @property
    def wanted(self) -> Wanted:
        return Wanted(ahead_s=span(self.parameters.within).total_seconds(), only_kept=True)

    def choose(self, sources: Sources) -> Iterable[Choice]:
        return Dummy(Nothing()).choose(sources)


class UsualForm(Form):
    window: Span = Field("1h", description="How far ahead: what is usually opened from now on for this long.")
    history: Span = Field("8w", description="How far back in the view log to look.")
    top_n: int = Field(100, ge=1, le=10_000, description="How many (dashboard, filters, group of viewers) at most.")
    timezone: Timezone = Field("UTC", description="The time zone in which people's weeks have their hours.")


class UsualVisitors(Strategy[UsualForm]):
    """What is usually opened at this hour of the week: dashboards, with the filters and for the groups that do."""

    name, form = "usual_visitors", UsualForm

    def choose(self, sources: Sources) -> Iterable[Choice]:
        asked = self.parameters
        views = sources.views.opened(sources.now - span(asked.history))
        members = _members(sources, {view.target for view in views})
        counted = [(view.at, key) for view in views if (key := _key(view, members)) is not None]
        ranked = rank(counted, sources.now, span(asked.window), ZoneInfo(asked.timezone))
        for (target, state, access), _ in ranked[: asked.top_n]:
            group = next(name for name, seen in members[target].items() if seen == access)  # one stands for all
            yield Choice(target, state, usernames=frozenset({group}))


def _members(sources: Sources, targets: Iterable[Target]) -> dict[Target, dict[str, str]]:
    """Of each target: whoever may see it now → the row-level rules under which they do."""
    found = {}
    for target in targets:
        if target.catalog in sources.catalogs:
            with sources.asking(target.catalog):
                groups = sources.catalogs[target.catalog].groups(target)
                found[target] = {name: group.access for group in groups for name in group.usernames}
    return found


def _key(view: View, members: Mapping[Target, Mapping[str, str]]) -> tuple[Target, ViewState, str] | None:
    access = members.get(view.target, {}).get(view.username)
    return None if access is None else (view.target, view.view_state, access)


STRATEGIES: dict[str, type[Strategy[Any]]] = {
    cls.name: cls
    for cls in (
        Dummy,
        TopNDashboards,
        DashboardTags,
        NativeFilterOptions,
        RecentlyChanged,
        Ids,
        Stale,
        UsualVisitors,
        Changed,
    )
}
PUBLIC = {name: cls for name, cls in STRATEGIES.items() if cls.public}


def make(name: str, parameters: Mapping[str, Any], *, public: bool = True) -> Strategy[Any]:
    """Raises InvalidInput that names the field: an unknown strategy, an unknown or wrong parameter."""
    known = PUBLIC if public else STRATEGIES
    if name not in known:
        raise InvalidInput(f"There is no strategy {name!r}; known: {', '.join(PUBLIC)}.", field="strategy")
    cls = known[name]
    return cls(fill(cls.form, dict(parameters), prefix="parameters."))


def stored(strategy: Strategy[Any]) -> dict[str, Any]:
    """Its parameters as JSON, for the run's row."""
    filled: BaseModel = strategy.parameters
    return filled.model_dump(mode="json")
