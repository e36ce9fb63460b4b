"""From a strategy's choices to what is warmed: each part once for each group of viewers who see the same of it.

What cannot be warmed is an outcome too, with its reason, and so is that there is more than a run can hold: nothing is
left out in silence. (Pictures that nobody has are none that cannot be warmed; see `only_kept_pictures`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from shared.catalog.port import Catalog, Group, Part
from shared.errors import ExecutorNotFound, Internal, NotFound, VitrineError
from shared.identity import OPERATOR, ExecutorKind, Principal
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.requests import Requests
from shared.settings import Settings
from shared.targets import Target, TargetKind
from shared.warmup.choices import ORIGIN_FAILED, Choice, Sources
from shared.warmup.runs import DATA, FAULT, PICTURES, Came
from shared.warmup.strategies import Strategy

log = structlog.get_logger(__name__)
MAX_OUTCOMES = 50_000
PICTURE = "picture"
CATALOG, RUN = "catalog", "run"  # as the kind of a target: all of it
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
            found.take(self._each(choices, DATA, self._data))
        if PICTURES in run.warms:
            opening = [choice for choice in choices if choice.view_state.is_empty and choice.is_whole]
            made = self._each(opening, PICTURE, self._pictures)
            if strategy.only_kept_pictures:
                kept = self._pictures_kept()
                made = ((one, names) for one, names in made if one.key in kept or one.outcome == Came.FAILED)
            found.take(made)
        for name, error in self._sources.troubles.items():
            found.add(_of_catalog(run, name, error), ())
        if found.is_cut:
            found.add(_left_out(run), ())
        for number, outcome in enumerate(found.outcomes(), start=1):
            outcome.run_id, outcome.number = run.id, number
        return found.outcomes()

    def _each(
        self, choices: Iterable[Choice], what: str, find: Callable[[Choice], Iterator[Planned]]
    ) -> Iterator[Planned]:
        """What is found of each; a fault of ours in one of them is its outcome, and the others go on."""
        for choice in choices:
            try:
                yield from find(choice)
            except VitrineError:
                raise
            except Exception:  # whatever it was, the others must be planned, and the log must say what
                log.exception("planning_internal_error", target=str(choice.target), what=what)
                yield _ended(choice, what, "", Came.FAILED, Internal.code, FAULT), ()

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
        self.is_cut = False

    def take(self, planned: Iterable[Planned]) -> None:
        """Until there are MAX_OUTCOMES; then it is cut."""
        for outcome, usernames in planned:
            if len(self._outcomes) >= MAX_OUTCOMES and _name(outcome) not in self._outcomes:
                self.is_cut = True
                return
            self.add(outcome, usernames)

    def add(self, outcome: WarmupOutcome, usernames: Sequence[str]) -> None:
        name = _name(outcome)
        self._outcomes.setdefault(name, outcome)
        self._viewers.setdefault(name, set()).update(usernames)

    def outcomes(self) -> list[WarmupOutcome]:
        for name, outcome in self._outcomes.items():
            outcome.viewers = len(self._viewers[name])
        return list(self._outcomes.values())


def _name(outcome: WarmupOutcome) -> str:
    return f"{outcome.what == PICTURE} {outcome.key}"


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
    title = "whatever of it was to be warmed"
    return _of_many(run, name, CATALOG, name, title, Came.FAILED, error.code, error.message)


def _left_out(run: WarmupRun) -> WarmupOutcome:
    told = f"There is more than the {MAX_OUTCOMES} things that a run warms; choose fewer, or make several runs."
    return _of_many(run, "", RUN, run.strategy, "whatever else it chose", Came.SKIPPED, "left_out", told)


def _of_many(
    run: WarmupRun, catalog: str, kind: str, name: str, title: str, came: Came, code: str, reason: str
) -> WarmupOutcome:
    return WarmupOutcome(
        catalog=catalog,
        target_kind=kind,
        target_id=name,
        title=title,
        what=DATA if DATA in run.warms else PICTURE,
        executor="",
        key=f"none:{kind}:{name}"[:100],
        outcome=came.value,
        code=code,
        reason=reason,
        finished_at=datetime.now(UTC),
    )


def _place(target: Target) -> dict[str, Any]:
    return {"catalog": target.catalog, "target_kind": target.kind.value, "target_id": target.id}


def target_of(outcome: WarmupOutcome) -> Target:
    return Target(outcome.catalog, TargetKind(outcome.target_kind), outcome.target_id)
