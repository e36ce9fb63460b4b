"""From a strategy's choices to what is warmed: each part once for each group of viewers who see the same of it.

What cannot be warmed is an outcome too, with its reason: nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.catalog.port import Catalog, Group, Part
from shared.errors import ExecutorNotFound, NotFound, VitrineError
from shared.identity import OPERATOR, ExecutorKind, Principal
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.requests import Requests
from shared.settings import Settings
from shared.targets import Target, TargetKind
from shared.warmup.choices import ORIGIN_FAILED, Choice, Sources
from shared.warmup.runs import DATA, PICTURES, Came
from shared.warmup.strategies import Strategy

MAX_OUTCOMES = 50_000
PICTURE = "picture"
CATALOG = "catalog"  # as the kind of a target: all of it
SAID_OF_IT = (ExecutorNotFound, NotFound, *ORIGIN_FAILED)  # an outcome of the target; other errors end the planning
Planned = tuple[WarmupOutcome, Sequence[str]]  # and the user names of those whom it serves


class Planner:
    """Synchronous: it asks catalogs. Raises what the strategy raises, and DatabaseUnavailable.

    Of a catalog whose origin does not answer the targets have failed, with that reason; those of others are planned.
    """

    def __init__(
        self, settings: Settings, requests: Requests, sources: Sources, pictures_kept: Callable[[], frozenset[str]]
    ) -> None:
        """`pictures_kept`: the keys of pictures that were made before and may still be there."""
        self._executors = settings.thumbnail_executors
        self._requests = requests
        self._sources = sources
        self._pictures_kept = pictures_kept

    def plan(self, run: WarmupRun, strategy: Strategy[Any]) -> list[WarmupOutcome]:
        """Data before pictures: a render finds the rows warm."""
        choices = list(strategy.choose(self._sources))
        found = _Found()
        if DATA in run.warms:
            found.take(one for choice in choices for one in self._data(choice))
        if PICTURES in run.warms:
            opening = [choice for choice in choices if choice.view_state.is_empty and choice.is_whole]
            made = (one for choice in opening for one in self._pictures(choice))
            if strategy.only_kept_pictures:
                kept = self._pictures_kept()
                made = ((one, names) for one, names in made if one.key in kept)
            found.take(made)
        found.take((_of_catalog(run, name, error), ()) for name, error in self._sources.troubles.items())
        for number, outcome in enumerate(found.outcomes(), start=1):
            outcome.run_id, outcome.number = run.id, number
        return found.outcomes()

    def _data(self, choice: Choice) -> Iterator[Planned]:
        try:
            catalog = self._requests.catalog(choice.target.catalog)
            groups = [group for group in catalog.groups(choice.target) if _wanted(choice, group)]
        except SAID_OF_IT as error:
            yield _said(choice, DATA, "", error), ()
            return
        if not groups:
            yield _ended(choice, DATA, "", Came.SKIPPED, "not_found", "No active user may see it."), ()
        for group in groups:
            try:
                parts = catalog.parts(choice.target, group.executor, choice.view_state)
            except VitrineError as error:
                if error.transient and not isinstance(error, ORIGIN_FAILED):
                    raise
                yield _ended(choice, DATA, group.executor, Came.FAILED, error.code, error.message), ()
                continue
            for part in filter(choice.takes, parts):
                yield _outcome_of(part), group.usernames
            if not choice.changed and choice.charts - {part.target.id for part in parts}:
                yield _ended(choice, DATA, group.executor, Came.SKIPPED, "not_found", "It does not hold the chart."), ()

    def _pictures(self, choice: Choice) -> Iterator[Planned]:
        try:
            catalog = self._requests.catalog(choice.target.catalog)
            info = catalog.info(OPERATOR, choice.target)
            viewers = list(self._viewers(catalog, choice))
        except SAID_OF_IT as error:
            yield _said(choice, PICTURE, "", error), ()
            return
        for principal, usernames in viewers:
            try:
                plan = self._requests.thumbnail(choice.target, principal, info=info)
            except SAID_OF_IT as error:
                yield _said(choice, PICTURE, principal.username if principal else "", error), ()
                continue
            place = _place(choice.target)
            yield (
                WarmupOutcome(**place, what=PICTURE, title=info.title, executor=plan.executor, key=plan.key),
                usernames,
            )

    def _viewers(self, catalog: Catalog, choice: Choice) -> Iterator[tuple[Principal | None, Sequence[str]]]:
        """As whom a thumbnail is looked at; one nameless viewer where no executor depends on who looks."""
        names = [name for group in catalog.groups(choice.target) for name in group.usernames if _wanted(choice, group)]
        rules = catalog.executors or self._executors
        if not any(rule.kind is ExecutorKind.CURRENT_USER for rule in rules):
            yield None, names
            return
        for name in names:
            yield catalog.principal(name), [name]


class _Found:
    """Outcomes to come, each once: one entry may serve several places, and groups who see the same of it."""

    def __init__(self) -> None:
        self._outcomes: dict[str, WarmupOutcome] = {}
        self._viewers: dict[str, set[str]] = {}

    def take(self, planned: Iterable[Planned]) -> None:
        """Until there are MAX_OUTCOMES."""
        for outcome, usernames in planned:
            name = f"{outcome.what == PICTURE} {outcome.key}"
            self._outcomes.setdefault(name, outcome)
            self._viewers.setdefault(name, set()).update(usernames)
            if len(self._outcomes) >= MAX_OUTCOMES:
                return

    def outcomes(self) -> list[WarmupOutcome]:
        for name, outcome in self._outcomes.items():
            outcome.viewers = len(self._viewers[name])
        return list(self._outcomes.values())


def _wanted(choice: Choice, group: Group) -> bool:
    return choice.usernames is None or not choice.usernames.isdisjoint(group.usernames)


def _outcome_of(part: Part) -> WarmupOutcome:
    return WarmupOutcome(
        **_place(part.target),
        what=part.warms.value,
        title=part.title,
        dashboard_id=part.dashboard_id,
        filter_id=part.filter_id,
        view_state={} if part.view_state.is_empty else part.view_state.as_json(),
        executor=part.executor,
        database=part.database,
        key=part.key,
    )


def _ended(choice: Choice, what: str, executor: str, came: Came, code: str, reason: str) -> WarmupOutcome:
    """An outcome that is known before anything was tried; its key is made up, so that it stands for itself."""
    return WarmupOutcome(
        **_place(choice.target),
        what=what,
        executor=executor,
        key=f"none:{choice.target.kind}:{choice.target.id}:{executor}"[:100],
        outcome=came.value,
        code=code,
        reason=reason,
        finished_at=datetime.now(UTC),
    )


def _said(choice: Choice, what: str, executor: str, error: VitrineError) -> WarmupOutcome:
    """What is gone, or has no executor, is skipped; an origin that does not answer is a failure."""
    came = Came.FAILED if isinstance(error, ORIGIN_FAILED) else Came.SKIPPED
    return _ended(choice, what, executor, came, error.code, error.message)


def _of_catalog(run: WarmupRun, name: str, error: VitrineError) -> WarmupOutcome:
    """For all of a catalog that could not be asked what it has."""
    return WarmupOutcome(
        catalog=name,
        target_kind=CATALOG,
        target_id=name,
        title="whatever of it was to be warmed",
        what=DATA if DATA in run.warms else PICTURE,
        executor="",
        key=f"none:{name}"[:100],
        outcome=Came.FAILED.value,
        code=error.code,
        reason=error.message,
        finished_at=datetime.now(UTC),
    )


def _place(target: Target) -> dict[str, Any]:
    return {"catalog": target.catalog, "target_kind": target.kind.value, "target_id": target.id}


def target_of(outcome: WarmupOutcome) -> Target:
    return Target(outcome.catalog, TargetKind(outcome.target_kind), outcome.target_id)
