"""Finds charts and dashboards as somebody: what may not be seen and what does not exist raise the same NotFound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, literal, select, union_all
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from shared.catalog.access import fingerprint, may_read, rules_for, visible_charts, visible_dashboards
from shared.catalog.port import Group
from shared.errors import NotFound
from shared.identity import Principal
from shared.metadata.models import Chart, Dashboard, Dataset, User, dashboard_charts
from shared.metadata.users import principal_of
from shared.targets import TargetKind

MAX_ID = 2**31 - 1
SOMEBODY = " "  # a user name that nobody can have
Options = tuple[ORMOption, ...]


def not_found(kind: TargetKind) -> NotFound:
    return NotFound(f"There is no such {kind}.")


def number(identifier: str) -> int | None:
    """The row's id, if the text is one as we write them."""
    if not identifier.isascii() or not identifier.isdecimal() or identifier.startswith("0") or len(identifier) > 10:
        return None
    return int(identifier) if int(identifier) <= MAX_ID else None


def find_chart(session: Session, principal: Principal, identifier: str, options: Options = ()) -> Chart:
    query = select(Chart).where(Chart.id == number(identifier), visible_charts(principal)).options(*options)
    found = session.scalar(query) if number(identifier) else None
    if found is None:
        raise not_found(TargetKind.CHART)
    return found


def find_dashboard(session: Session, principal: Principal, identifier: str, options: Options = ()) -> Dashboard:
    query = select(Dashboard).where(Dashboard.id == number(identifier), visible_dashboards(principal)).options(*options)
    found = session.scalar(query) if number(identifier) else None
    if found is None:
        raise not_found(TargetKind.DASHBOARD)
    return found


def find(session: Session, principal: Principal, kind: TargetKind, identifier: str, options: Options) -> Any:
    """A Chart or a Dashboard; `options` say what is loaded with it."""
    finder = find_chart if kind is TargetKind.CHART else find_dashboard
    return finder(session, principal, identifier, options)


def find_all(session: Session, kind: TargetKind, identifiers: Iterable[str], options: Options) -> dict[str, Any]:
    """Those of them that exist, by their ids, whoever may see them."""
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    query = select(model).where(model.id.in_({number(one) for one in identifiers} - {None})).options(*options)
    return {str(found.id): found for found in session.scalars(query)}


def visible_to(
    session: Session, kind: TargetKind, identifiers: Iterable[str], principals: Iterable[Principal]
) -> set[tuple[str, str]]:
    """(id, user name) of each of them that each of the principals may see; one query."""
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    ids = {number(one) for one in identifiers} - {None}
    each = [select(model.id, literal(one.username)).where(model.id.in_(ids), _visible(one, kind)) for one in principals]
    return (
        {(str(identifier), username) for identifier, username in session.execute(union_all(*each))} if each else set()
    )


def page_of(
    session: Session, principal: Principal, kind: TargetKind, offset: int, limit: int
) -> tuple[int, Sequence[Any]]:
    """How many there are to see, and one page of them with what cards show, newest change first."""
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    condition = _visible(principal, kind)
    count = session.scalar(select(func.count()).select_from(model).where(condition)) or 0
    newest = select(model).where(condition).order_by(model.changed_on.desc(), model.id.desc())
    return count, session.scalars(newest.offset(offset).limit(limit).options(*card(kind))).all()


def viewers_of(session: Session, kind: TargetKind, identifier: str) -> list[str]:
    """All active users who may see it. Asked once for each set of roles, not for each user."""
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    found = session.get(model, number(identifier)) if number(identifier) else None
    if found is None:
        return []
    owners = {owner.username for owner in found.owners}
    users = session.scalars(select(User).where(User.active).order_by(User.username).options(selectinload(User.roles)))
    everybody = [principal_of(user) for user in users]
    opened = {
        roles: session.scalar(select(exists().where(model.id == found.id, _visible(Principal(SOMEBODY, roles), kind))))
        for roles in {principal.roles for principal in everybody}
    }
    return [one.username for one in everybody if one.username in owners or opened[one.roles]]


def groups_of(session: Session, kind: TargetKind, identifier: str) -> list[Group]:
    """Its viewers by the row-level rules that apply to them, on what its filters offer too.

    Rules are asked for once for each set of roles.
    """
    names = viewers_of(session, kind, identifier)
    if not names:
        return []
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    found: Any = session.get(model, number(identifier), options=whole(kind))
    charts = [found] if kind is TargetKind.CHART else found.charts
    offered = _offered(session, found) if kind is TargetKind.DASHBOARD else []
    datasets = {dataset.id for chart in charts for dataset in chart.datasets} | {dataset.id for dataset in offered}
    users = session.scalars(select(User).where(User.username.in_(names)).options(selectinload(User.roles)))
    seen: dict[frozenset[str], str] = {}
    groups: dict[str, list[str]] = {}
    for principal in sorted(map(principal_of, users), key=lambda one: one.username):
        if principal.roles not in seen:
            # A filter over what they may not read offers nothing, as under a rule that lets no row pass.
            withheld = [(dataset.name, "FALSE") for dataset in offered if not may_read(principal, dataset)]
            seen[principal.roles] = fingerprint([*rules_for(session, principal, datasets), *withheld])
        groups.setdefault(seen[principal.roles], []).append(principal.username)
    return [Group(names[0], access, tuple(names)) for access, names in groups.items()]


def _offered(session: Session, dashboard: Dashboard) -> Sequence[Dataset]:
    """The datasets of its filters, which need not be those of its charts."""
    named = Dataset.name.in_({entry["dataset"] for entry in dashboard.filters})
    query = select(Dataset).where(named).order_by(Dataset.name)
    return session.scalars(query.options(selectinload(Dataset.roles))).all()


def holds(session: Session, dashboard: Dashboard, chart: Chart) -> bool:
    """Whether the chart stands in the dashboard."""
    link = dashboard_charts.c
    condition = exists().where(link.dashboard_id == dashboard.id, link.chart_id == chart.id)
    return bool(session.scalar(select(condition)))


def datasets_of(session: Session, database_id: int) -> Sequence[Dataset]:
    """All registered datasets of a database."""
    return session.scalars(select(Dataset).where(Dataset.database_id == database_id)).all()


def card(kind: TargetKind) -> Options:
    """What a TargetInfo needs."""
    model: Any = Chart if kind is TargetKind.CHART else Dashboard
    people = (selectinload(model.owners), joinedload(model.created_by), joinedload(model.changed_by))
    return (*people, selectinload(model.tag_rows))


def whole(kind: TargetKind) -> Options:
    """What a digest needs."""
    if kind is TargetKind.CHART:
        return (joinedload(Chart.database), selectinload(Chart.datasets))
    charts = selectinload(Dashboard.charts)
    return (charts.options(joinedload(Chart.database), selectinload(Chart.datasets)),)


def _visible(principal: Principal, kind: TargetKind) -> ColumnElement[bool]:
    return visible_charts(principal) if kind is TargetKind.CHART else visible_dashboards(principal)
