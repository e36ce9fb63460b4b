"""Which row-level rules make another picture for whom, and who counts as a user."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.superset.client import Credential
from shared.catalog.superset.people import People, Person
from shared.errors import CatalogSignIn, NotFound

BIRTHS, SALES = 7, 8
RULE = {
    "id": 1,
    "filter_type": "Regular",
    "group_key": "",
    "clause": "gender = 'girl'",
    "tables": [{"id": BIRTHS}],
    "roles": [{"id": 3, "name": "Gamma"}],
}
USER = {"id": 5, "username": "ann", "active": True, "roles": [{"name": "Gamma"}], "groups": []}


class SomeSuperset:
    """Its users and rules; `may`: whether the reader may read them."""

    def __init__(self, rules: list[dict[str, Any]] | None = None, *users: dict[str, Any], may: bool = True) -> None:
        self.rows = {"/api/v1/rowlevelsecurity/": rules or [], "/api/v1/security/users/": list(users)}
        self.may = may

    def all(self, path: str, who: object, **query: object) -> list[dict[str, Any]]:
        if not self.may:
            raise NotFound("Superset has no such object.")
        return self.rows[path]

    def find(self, path: str, who: object, column: str, value: object, **query: object) -> dict[str, Any] | None:
        return next((row for row in self.all(path, who) if row[column] == value), None)


def people(*args: Any, **options: Any) -> People:
    superset: Any = SomeSuperset(*args, **options)
    return People(superset, lambda ask: ask(Credential()))


def person(*roles: str, grouped: bool = False) -> Person:
    return Person(5, "ann", active=True, roles=frozenset(roles), grouped=grouped)


def access(rules: list[dict[str, Any]], who: Person, *datasets: int) -> str:
    return people(rules).access(who, datasets or (BIRTHS,))


def test_without_a_rule_that_applies_all_see_the_same():
    assert access([], person("Gamma")) == ""
    assert access([RULE], person("Alpha")) == ""
    assert access([RULE], person("Gamma"), SALES) == ""


def test_a_regular_rule_applies_to_the_roles_that_it_names():
    assert access([RULE], person("Gamma")) != ""
    assert access([RULE], person("Gamma"), SALES, BIRTHS) == access([RULE], person("Alpha", "Gamma"))


def test_a_base_rule_applies_to_all_but_the_roles_that_it_names():
    base = RULE | {"filter_type": "Base"}
    assert access([base], person("Gamma")) == ""
    assert access([base], person("Alpha")) != ""
    assert access([base], person()) != ""


@pytest.mark.parametrize("rule", [RULE, RULE | {"filter_type": "Base"}])
def test_of_who_has_roles_through_groups_every_rule_counts(rule):
    for roles in ((), ("Gamma",), ("Alpha",)):
        assert access([rule], person(*roles, grouped=True)) != ""


@pytest.mark.parametrize(
    "change",
    [
        {"clause": "gender = 'boy'"},
        {"group_key": "gender"},
        {"id": 2},
        {"tables": [{"id": BIRTHS}, {"id": SALES}]},
    ],
)
def test_a_rule_that_changes_makes_another_picture(change):
    assert access([RULE | change], person("Gamma")) not in ("", access([RULE], person("Gamma")))


def test_the_order_in_which_rules_are_told_is_of_no_account():
    other = RULE | {"id": 2, "clause": "state = 'CA'"}
    assert access([RULE, other], person("Gamma")) == access([other, RULE], person("Gamma"))
    assert access([RULE, other], person("Gamma")) != access([RULE], person("Gamma"))


def test_rules_of_a_list_that_was_cut_short_once_apply():
    superset: Any = SomeSuperset()
    answers = iter([[], [RULE]])
    superset.all = lambda *_, **__: next(answers)
    assert People(superset, lambda ask: ask(Credential())).access(person("Gamma"), {BIRTHS}) == access(
        [RULE], person("Gamma")
    )


def test_who_is_not_active_is_nobody():
    inactive = USER | {"id": 6, "username": "ben", "active": False}
    known = people([], USER, inactive)
    assert [one.username for one in known.everybody()] == ["ann"]
    assert known.named("ann").roles == {"Gamma"}
    for username in ("ben", "nobody"):
        with pytest.raises(NotFound, match="no such active user"):
            known.named(username)


def test_a_user_of_a_group_is_known_as_one():
    assert people([], USER | {"groups": [{"name": "Sales"}]}).named("ann").grouped
    assert not people([], USER).named("ann").grouped


def test_a_reader_without_the_right_is_told_which_account_lacks_it():
    with pytest.raises(CatalogSignIn, match="VITRINE_SUPERSET_USERNAME read its row-level rules"):
        people([RULE], may=False).access(person("Gamma"), {BIRTHS})
    with pytest.raises(CatalogSignIn, match="read its users"):
        people([], USER, may=False).everybody()
