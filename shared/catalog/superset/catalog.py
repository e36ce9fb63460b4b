"""The catalog of a real Superset, over its REST API. Superset is asked as whoever asks us: it decides what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from shared.catalog.lineage import Affected
from shared.catalog.port import Catalog, Facts, Page, Part, TargetInfo, Wanted, Warms, Warmth, host_port
from shared.catalog.superset import datasets, native_filters, pages, rows, views, warm
from shared.catalog.superset.client import PAGE_SIZE, Client, Credential
from shared.catalog.superset.datasets import Dataset
from shared.catalog.superset.native_filters import Default
from shared.catalog.superset.people import People, Person
from shared.catalog.superset.sessions import Sessions
from shared.errors import CatalogSignIn, ExecutorNotFound, InvalidInput, NotFound, Unauthenticated
from shared.identity import OPERATOR, ExecutorRule, Principal
from shared.kept import Kept
from shared.keys import content_hash
from shared.settings import Settings
from shared.targets import Target, TargetKind, ViewState

T = TypeVar("T")
Rows = list[dict[str, Any]]  # of a list of Superset's
ROW_S = 2.0  # a card's permission, digest and plan are one look
LIST_S = 10.0  # charts of a dashboard, datasets
NEWEST = {"order_column": "changed_on_delta_humanized", "order_direction": "desc"}


class SupersetCatalog(Catalog):
    """shared.catalog.port.Catalog. Its settings are those named superset_… (shared/settings.py)."""

    name = rows.NAME
    executors: tuple[ExecutorRule, ...] = ()

    def __init__(self, settings: Settings) -> None:
        assert settings.superset_url is not None, "open_catalogs makes one only where there is a Superset"
        self._settings = settings
        self._client = Client(
            settings.superset_url, cookie_name=settings.superset_cookie, timeout_s=settings.superset_timeout_s
        )
        self._people = People(self._client, self._read)
        passwords = {name: password.get_secret_value() for name, password in settings.superset_passwords.items()}
        secret = settings.superset_secret_key.get_secret_value()
        self._sessions = Sessions(self._client, secret, passwords, self._id_of)
        self._rows: Kept[tuple[Any, ...], dict[str, Any]] = Kept(ROW_S)
        self._charts: Kept[str, Rows] = Kept(LIST_S)
        self._definitions: Kept[tuple[str, str], dict[str, Any]] = Kept(LIST_S)
        self._datasets: Kept[str, dict[int, Dataset]] = Kept(LIST_S)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset({host_port(self._client.origin)})

    def close(self) -> None:
        self._client.close()

    # --- the port ---

    def principal(self, username: str) -> Principal:
        person = self._people.named(username)
        return Principal(person.username, person.roles, self.name)

    def info(self, principal: Principal, target: Target) -> TargetInfo:
        return rows.info_of(target.kind, self._row(principal, target), self._people.name_of)

    def list(
        self, principal: Principal, kind: TargetKind, *, offset: int = 0, limit: int = 100
    ) -> tuple[int, Sequence[TargetInfo]]:
        if not self._knows(principal):
            return 0, []
        size = min(limit, PAGE_SIZE)
        first, skipped = divmod(offset, size)
        found: Rows = []
        count = 0
        for page in range(first, first + 1 + (skipped > 0)):
            query: dict[str, Any] = {"columns": [*rows.COLUMNS[kind]], "page": page, "page_size": size, **NEWEST}
            answer = self._as(principal, partial(self._client.get, f"/api/v1/{kind}/", **query))
            count = int(answer.get("count") or 0)
            found += answer.get("result") or []
        return count, [rows.info_of(kind, row, self._people.name_of) for row in found[skipped : skipped + size]]

    def facts(self, target: Target, executor: str) -> Facts:
        """Raises ExecutorNotFound when we cannot sign in as the executor, NotFound when they may not see the target."""
        person = self._executor(executor)
        row = self._row(Principal(executor, catalog=self.name), target)
        charts = self._charts_of(target.id, executor) if target.kind is TargetKind.DASHBOARD else [row]
        known = self._all_datasets()
        used = {chart["datasource_id"] for chart in charts if chart.get("datasource_id")}
        versions = {number: known[number].changed_on if number in known else "" for number in used}
        of_dashboard = charts if target.kind is TargetKind.DASHBOARD else ()
        return Facts(rows.digest(row, of_dashboard, versions), self._people.access(person, used))

    def controls(self, principal: Principal, target: Target) -> Mapping[str, Any] | None:
        return None

    def saved_state(self, principal: Principal, target: Target, key: str) -> Mapping[str, Any]:
        path = f"/api/v1/dashboard/permalink/{key}"
        if not key.replace("-", "").replace("_", "").isalnum():
            raise NotFound("There is no such permalink.")
        # First what fails only with Superset itself: to an unknown key it answers 500.
        whole = self._as(principal, lambda who: self._client.get(f"/api/v1/dashboard/{target.id}", who))["result"]
        saved = self._as(principal, lambda who: self._client.once(path, who, says_no={500}))
        if str(saved.get("dashboardId")) not in {target.id, str(whole.get("uuid")), str(whole.get("slug"))}:
            raise NotFound("This dashboard has no such permalink.")
        state: Mapping[str, Any] = saved.get("state") or {}
        return state

    def renew(self, executor: str) -> bool:
        self._sessions.forget(executor)
        return True

    def databases(self) -> Sequence[str]:
        return sorted({dataset.database for dataset in self._all_datasets().values()})

    def popular(self, since: datetime) -> Sequence[tuple[Target, int]]:
        """By Superset's log; the reader's and our renders' own views are left out."""
        return self._read(lambda who: views.popular(self._client, who, since, {self._settings.superset_username}))

    def viewers(self, target: Target) -> Sequence[str]:
        """Of those as whom we can sign in: Superset tells of each user only to that user."""
        return [person.username for person in self._people.everybody() if self._may_see(person.username, target)]

    def parts(self, target: Target, executor: str, view_state: ViewState) -> Sequence[Part]:
        if not view_state.is_empty:
            raise InvalidInput(
                "Superset's warm-up takes a dashboard as it opens, in no other state.", field="view_state"
            )
        person, row = self._executor(executor), self._row(Principal(executor, catalog=self.name), target)
        if target.kind is TargetKind.CHART:
            return [self._part(row, person, None)]
        return [self._part(chart, person, target.id) for chart in self._charts_of(target.id, executor)]

    def _part(self, chart: Mapping[str, Any], person: Person, dashboard: str | None) -> Part:
        number, known = chart["datasource_id"], self._all_datasets()
        key = content_hash([self.name, chart["id"], dashboard, self._people.access(person, {number})])
        of = Target(self.name, TargetKind.CHART, str(chart["id"]))
        database = known[number].database if number in known else ""  # a dataset that was deleted: its warming fails
        return Part(Warms.DATA, of, str(chart.get("slice_name") or ""), person.username, database, key, dashboard)

    async def warm(self, part: Part, wanted: Wanted, *, run_id: str) -> Warmth:
        """Superset keeps no run's id, and does not tell when what it keeps grows stale."""
        return await asyncio.to_thread(self._warm, part, wanted)

    def _warm(self, part: Part, wanted: Wanted) -> Warmth:
        who, chart = Principal(part.executor, catalog=self.name), part.target.id
        self._see(who, part.target)  # NotFound when they may no longer see it
        if wanted.only_kept:
            return Warmth(part.key, skipped="Superset does not tell when what it keeps grows stale.")
        defaults: list[Default] = []
        if part.dashboard_id is not None:
            defaults = native_filters.defaults(self._definition(who, part.dashboard_id), chart)
        if why_not := next((default.why_not for default in defaults if default.why_not), ""):
            return Warmth(part.key, skipped=why_not)
        filters = self._as(who, lambda one: warm.applied(self._client, one, defaults))
        rest = (chart, part.dashboard_id, filters)
        if wanted.force:
            self._as(who, lambda one: warm.warm(self._client, one, *rest))
            return Warmth(part.key)
        return Warmth(part.key, already=not self._as(who, lambda one: warm.warm_if_cold(self._client, one, *rest)))

    def _definition(self, who: Principal, dashboard: str) -> dict[str, Any]:
        """A dashboard as Superset's API tells it to somebody."""

        def load() -> dict[str, Any]:
            path = f"/api/v1/dashboard/{dashboard}"
            return dict(self._as(who, lambda one: self._client.get(path, one))["result"])

        return self._definitions.get((who.username, dashboard), load)

    def page(self, target: Target, executor: str, view_state: ViewState, *, nonce: str, vector: bool = False) -> Page:
        self._executor(executor)
        self._see(Principal(executor, catalog=self.name), target)  # NotFound: deleted or unpublished meanwhile
        credential = self._sessions.of(executor)
        hosts = self._settings.egress_hosts
        return pages.page(self._client, credential, target, view_state, nonce=nonce, hosts=hosts)

    # --- what a Superset tells besides ---

    def identify(self, credential: Credential) -> Principal:
        """Who holds this session or token of Superset's. Raises Unauthenticated, CatalogUnavailable."""
        me = self._client.get("/api/v1/me/", credential)["result"]
        held = self._client.get("/api/v1/me/roles/", credential)["result"].get("roles") or {}
        return Principal(str(me["username"]), frozenset(held), self.name, credential)

    def data_changed(self, database: str, tables: Sequence[str], *, ignore_unknown: bool = False) -> Affected:
        """What depends on the tables. Raises NotFound, InvalidInput as datasets.affected."""
        columns = [*datasets.CHART_COLUMNS]
        charts = self._read(lambda who: list(self._client.all("/api/v1/chart/", who, columns=columns)))
        return datasets.affected(self._all_datasets().values(), charts, database, tables, ignore_unknown=ignore_unknown)

    # --- how it is asked ---

    def _knows(self, principal: Principal) -> bool:
        """A user of Superset; the operator, who has no name, looks through the reader's eyes."""
        return principal.catalog == self.name or (principal.is_admin and not principal.username)

    def _check(self, principal: Principal, target: Target) -> None:
        if target.catalog != self.name or not target.id.isdecimal() or not self._knows(principal):
            raise _not_found(target.kind)

    def _see(self, principal: Principal, target: Target) -> None:
        """Raises NotFound when the principal may not see it now. Costs Superset less than a row of its list."""
        self._check(principal, target)

        def look(who: Credential) -> None:
            try:
                self._client.get(f"/api/v1/{target.kind}/{int(target.id)}", who, columns=["id"])
            except NotFound:
                raise _not_found(target.kind) from None

        self._as(principal, look)

    def _row(self, principal: Principal, target: Target) -> dict[str, Any]:
        """The target in Superset's list, as the principal may see it. Raises NotFound."""
        self._check(principal, target)
        return self._rows.get((principal.username, target.kind, target.id), lambda: self._load_row(principal, target))

    def _load_row(self, principal: Principal, target: Target) -> dict[str, Any]:
        path, columns = f"/api/v1/{target.kind}/", [*rows.COLUMNS[target.kind]]
        row = self._as(principal, lambda who: self._client.find(path, who, "id", int(target.id), columns=columns))
        if row is None:
            raise _not_found(target.kind)
        return row

    def _charts_of(self, dashboard: str, executor: str) -> Rows:
        """All of them, whoever of those asks who may see the dashboard. The charts' list would need a filter, and might
        answer with what another request filters for (see Client.find): rules of rows would be missing in a key.
        """
        path, who = f"/api/v1/dashboard/{dashboard}/charts", Principal(executor, catalog=self.name)

        def load() -> Rows:
            return [rows.chart_of(chart) for chart in self._as(who, lambda one: self._client.get(path, one))["result"]]

        return self._charts.get(dashboard, load)

    def _all_datasets(self) -> dict[int, Dataset]:
        def load() -> dict[int, Dataset]:
            columns = [*datasets.COLUMNS]
            listed = self._read(lambda who: list(self._client.all("/api/v1/dataset/", who, columns=columns)))
            return {int(row["id"]): datasets.dataset_of(row) for row in listed}

        return self._datasets.get("all", load)

    def _may_see(self, username: str, target: Target) -> bool:
        if not self._sessions.can_sign_in(username):
            return False
        try:
            self._row(Principal(username, catalog=self.name), target)
        except (NotFound, CatalogSignIn):
            return False
        return True

    def _as(self, principal: Principal, ask: Callable[[Credential], T]) -> T:
        """Ask as the principal: with what they brought, else signed in by us; a session that ended is renewed once.

        Raises Unauthenticated when what they brought does not hold any more.
        """
        if isinstance(principal.credential, Credential):
            return ask(principal.credential)  # Unauthenticated: only they themselves can sign in anew
        username = principal.username or self._settings.superset_username
        try:
            return ask(self._sessions.of(username))
        except Unauthenticated:
            self._sessions.forget(username)
        try:
            return ask(self._sessions.of(username))
        except Unauthenticated as error:
            raise CatalogSignIn(
                f"Superset does not accept the session of {username!r}: VITRINE_SUPERSET_SECRET_KEY is not its "
                "SECRET_KEY, it keeps sessions on its server, or the user is inactive."
            ) from error

    def _read(self, ask: Callable[[Credential], T]) -> T:
        """Ask as the reader."""
        return self._as(OPERATOR, ask)

    def _executor(self, username: str) -> Any:
        try:
            return self._people.named(username)
        except NotFound as error:
            raise ExecutorNotFound(f"The executor {username!r} is no active user of Superset.") from error

    def _id_of(self, username: str) -> int:
        """For a signed session. The reader's own id cannot be asked of the users' list, which only the reader reads."""
        if username == self._settings.superset_username and self._settings.superset_user_id is not None:
            return self._settings.superset_user_id
        return self._people.named(username).id


def _not_found(kind: TargetKind) -> NotFound:
    return NotFound(f"There is no such {kind}.")
