"""Who may see what, as conditions of SQL: the one place that decides, for reads, lists and viewers alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, exists, false, select, true
from sqlalchemy.orm import Session, joinedload

from shared.identity import Principal
from shared.metadata.models import (
    Chart,
    Dashboard,
    Dataset,
    Role,
    RowLevelRule,
    User,
    chart_datasets,
    dashboard_charts,
    dataset_roles,
    rule_roles,
)
from shared.metadata.users import principal_of
from shared.targets import canonical_json

NAME = "native"
Rule = tuple[str, str]  # dataset name, clause


class GrantedRule(NamedTuple):
    """A row-level rule for one of its roles."""

    id: int
    dataset_id: int
    dataset: str
    clause: str
    role: str


def find_principal(session: Session, username: str) -> Principal | None:
    """The active user of that name, if there is one."""
    return find_principals(session, [username]).get(username)


def find_principals(session: Session, usernames: Collection[str]) -> dict[str, Principal]:
    """Those of them who are active users, by name."""
    query = select(User).where(User.username.in_(usernames), User.active).options(joinedload(User.roles))
    return {user.username: principal_of(user) for user in session.scalars(query).unique()}


def visible_charts(principal: Principal) -> ColumnElement[bool]:
    """Charts that they own, and those whose datasets are all granted to their roles."""
    principal = principal.within(NAME)
    if principal.is_admin:
        return true()
    if not principal.username:
        return false()
    owned = Chart.owners.any(User.username == principal.username)
    withheld = exists().where(
        chart_datasets.c.chart_id == Chart.id, chart_datasets.c.dataset_id.not_in(_granted(principal.roles))
    )
    return owned | ~withheld


def visible_dashboards(principal: Principal) -> ColumnElement[bool]:
    """Dashboards that they own, and published ones when every dataset of their charts is granted to their roles."""
    principal = principal.within(NAME)
    if principal.is_admin:
        return true()
    if not principal.username:
        return false()
    owned = Dashboard.owners.any(User.username == principal.username)
    withheld = exists().where(
        dashboard_charts.c.dashboard_id == Dashboard.id,
        dashboard_charts.c.chart_id == chart_datasets.c.chart_id,
        chart_datasets.c.dataset_id.not_in(_granted(principal.roles)),
    )
    return owned | (Dashboard.published & ~withheld)


def may_read(principal: Principal, dataset: Dataset) -> bool:
    """Whether one of their roles grants the dataset (its roles are loaded)."""
    principal = principal.within(NAME)
    return principal.is_admin or any(role.name in principal.roles for role in dataset.roles)


def rules_for(session: Session, principal: Principal, dataset_ids: Collection[int]) -> list[Rule]:
    """The row-level rules on those datasets that apply to somebody, sorted. Rules exempt the admin."""
    if principal.within(NAME).is_admin:
        return []
    return applying(rules_on(session, dataset_ids), principal, dataset_ids)


def rules_on(session: Session, dataset_ids: Collection[int]) -> list[GrantedRule]:
    """All row-level rules on those datasets, whomever they are for."""
    query = (
        select(RowLevelRule.id, RowLevelRule.dataset_id, Dataset.name, RowLevelRule.clause, Role.name)
        .join(Dataset, Dataset.id == RowLevelRule.dataset_id)
        .join(rule_roles, rule_roles.c.row_level_rule_id == RowLevelRule.id)
        .join(Role, Role.id == rule_roles.c.role_id)
        .where(RowLevelRule.dataset_id.in_(dataset_ids))
    )
    return [GrantedRule(*row) for row in session.execute(query)] if dataset_ids else []


def applying(rules: Iterable[GrantedRule], principal: Principal, dataset_ids: Collection[int]) -> list[Rule]:
    """Of those rules, the ones on these datasets that apply to somebody, sorted."""
    principal = principal.within(NAME)
    if principal.is_admin:
        return []
    found = {
        rule.id: (rule.dataset, rule.clause)
        for rule in rules
        if rule.dataset_id in dataset_ids and rule.role in principal.roles
    }
    return sorted(found.values())


def fingerprint(rules: Iterable[Rule]) -> str:
    """The text of the rules: two executors under the same rules may share what they see. "" when none."""
    listed = [list(rule) for rule in rules]
    return canonical_json(listed) if listed else ""


def _granted(roles: frozenset[str]) -> Select[tuple[int]]:
    return (
        select(dataset_roles.c.dataset_id)
        .join(Role, Role.id == dataset_roles.c.role_id)
        .where(Role.name.in_(sorted(roles)))
    )
