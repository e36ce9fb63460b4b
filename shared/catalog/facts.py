"""What pictures of the native catalog depend on: for one, and for a page of a list in as many queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy.orm import Session

from shared.catalog import content, lookup
from shared.catalog.access import applying, find_principals, fingerprint, rules_on
from shared.catalog.port import Facts
from shared.errors import ExecutorNotFound, NotFound
from shared.identity import Principal
from shared.metadata.models import Chart
from shared.targets import Target, TargetKind

Asked = Sequence[tuple[Target, str]]  # target, executor's user name


def facts_of(session: Session, asked: Asked) -> list[Facts | ExecutorNotFound | NotFound]:
    """The facts of each, or why there are none, in their order."""
    people = find_principals(session, {executor for _, executor in asked})
    found: dict[TargetKind, dict[str, Any]] = {}
    visible: set[tuple[TargetKind, str, str]] = set()
    for kind in {target.kind for target, _ in asked}:
        ids = {target.id for target, _ in asked if target.kind is kind}
        found[kind] = lookup.find_all(session, kind, ids, lookup.whole(kind))
        visible |= {(kind, *one) for one in lookup.visible_to(session, kind, ids, people.values())}
    datasets = {id(one): _datasets(one) for of_kind in found.values() for one in of_kind.values()}
    rules = rules_on(session, frozenset().union(*datasets.values()))
    digest = cache(content.digest)  # of a target that several executors draw

    def one(target: Target, executor: str) -> Facts | ExecutorNotFound | NotFound:
        try:
            principal = executor_of(people, executor)
        except ExecutorNotFound as error:
            return error
        if (target.kind, target.id, executor) not in visible:
            return lookup.not_found(target.kind)
        row = found[target.kind][target.id]
        return Facts(digest(row), fingerprint(applying(rules, principal, datasets[id(row)])))

    return [one(target, executor) for target, executor in asked]


def executor_of(people: Mapping[str, Principal], username: str) -> Principal:
    """Raises ExecutorNotFound."""
    if username not in people:
        raise ExecutorNotFound(f"The executor {username!r} is no active user of the native catalog.")
    return people[username]


def _datasets(found: Any) -> frozenset[int]:
    charts = [found] if isinstance(found, Chart) else found.charts
    return frozenset(dataset.id for chart in charts for dataset in chart.datasets)
