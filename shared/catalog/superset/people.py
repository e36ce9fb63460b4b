"""Superset's users, as the reader may list them: names to ids, roles, and the row-level rules that apply to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.catalog.superset.client import Client, Credential
from shared.errors import CatalogSignIn, NotFound
from shared.kept import Kept
from shared.keys import content_hash

T = TypeVar("T")
KEPT_S = 30.0
RIGHTS = "give the reader the right that docs/superset.md lists"


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    username: str
    active: bool
    roles: frozenset[str]
    grouped: bool  # has roles through groups too, which the API does not tell


class People:
    """`read`: asks as the account that reads Superset for us. Raises CatalogSignIn when it may not read users or rules,
    and CatalogUnavailable.
    """

    def __init__(self, client: Client, read: Callable[[Callable[[Credential], Any]], Any]) -> None:
        self._client = client
        self._read = read
        self._by_name: Kept[str, Person | None] = Kept(KEPT_S)
        self._by_id: Kept[int, Person | None] = Kept(KEPT_S * 10)  # names change seldom
        self._rules: Kept[str, list[dict[str, Any]]] = Kept(KEPT_S / 3)

    def named(self, username: str) -> Person:
        """Raises NotFound for unknown and inactive users."""
        found = self._by_name.get(username, lambda: self._find("username", username))
        if found is None or not found.active:
            raise NotFound("Superset has no such active user.")
        return found

    def name_of(self, user_id: int) -> str | None:
        found = self._by_id.get(user_id, lambda: self._find("id", user_id))
        return found.username if found else None

    def everybody(self) -> list[Person]:
        """Every active user."""
        rows = self._rows("/api/v1/security/users/", "users")
        return [person for person in map(_person, rows) if person.active]

    def access(self, person: Person, datasets: Collection[int]) -> str:
        """A fingerprint of the row-level rules that apply to this user on these datasets.

        A role that a user has through a group is not told, so that for such a user every rule counts: at worst a rule
        that changes makes a picture anew that need not be.
        """
        rules = self._rules.get("all", self._load_rules)
        mine = [_rule(rule) for rule in rules if _concerns(rule, datasets) and _applies(rule, person)]
        return content_hash(sorted(mine, key=str)) if mine else ""

    def _load_rules(self) -> list[dict[str, Any]]:
        """Read twice: a list that Superset cut short (see Client.find) would lack rules that apply."""
        read = [row for _ in range(2) for row in self._rows("/api/v1/rowlevelsecurity/", "row-level rules")]
        return list({row["id"]: row for row in read}.values())

    def _find(self, column: str, value: str | int) -> Person | None:
        if column == "id":
            try:
                return _person(
                    self._read(lambda who: self._client.get(f"/api/v1/security/users/{value}", who))["result"]
                )
            except NotFound:
                return None
        row = self._told("users", lambda who: self._client.find("/api/v1/security/users/", who, column, value))
        return _person(row) if row is not None else None

    def _rows(self, path: str, what: str, **query: Any) -> list[dict[str, Any]]:
        return self._told(what, lambda who: list(self._client.all(path, who, **query)))

    def _told(self, what: str, ask: Callable[[Credential], T]) -> T:
        try:
            found: T = self._read(ask)
        except NotFound as error:
            raise CatalogSignIn(
                f"Superset does not let VITRINE_SUPERSET_USERNAME read its {what}; {RIGHTS}."
            ) from error
        return found


def _person(row: Mapping[str, Any]) -> Person:
    return Person(
        id=int(row["id"]),
        username=str(row["username"]),
        active=bool(row.get("active", True)),
        roles=frozenset(str(role["name"]) for role in row.get("roles") or []),
        grouped=bool(row.get("groups")),
    )


def _concerns(rule: Mapping[str, Any], datasets: Collection[int]) -> bool:
    return any(table["id"] in datasets for table in rule.get("tables") or [])


def _applies(rule: Mapping[str, Any], person: Person) -> bool:
    """As Superset decides: a regular rule applies to the roles it names, a base rule to all others."""
    named = any(role["name"] in person.roles for role in rule.get("roles") or [])
    return person.grouped or named == (rule.get("filter_type") != "Base")


def _rule(rule: Mapping[str, Any]) -> list[Any]:
    tables = sorted(table["id"] for table in rule.get("tables") or [])
    return [rule["id"], rule.get("filter_type"), rule.get("group_key"), rule.get("clause"), tables]
