"""The native catalog: our own tables."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload, sessionmaker

from shared.catalog import content, filters, lookup, warmth
from shared.catalog.access import NAME, find_principal, find_principals, may_read, rules_for
from shared.catalog.facts import executor_of, facts_of
from shared.catalog.port import Facts, Group, InApp, Page, Part, Readiness, TargetInfo, Wanted, Warmth, host_port
from shared.catalog.queries import DataQuery, Queries
from shared.catalog.readers import Watch
from shared.catalog.rows import Rows
from shared.chart_data import ChartData
from shared.errors import ExecutorNotFound, InvalidInput, NotFound
from shared.identity import Audience, ExecutorRule, Principal, Tokens
from shared.keys import content_hash
from shared.metadata.engine import writing
from shared.metadata.models import Database, Dataset, Permalink, ViewLog
from shared.settings import Settings
from shared.store.data import DataEntries
from shared.store.port import KeyValue
from shared.targets import Target, TargetKind, ViewState, canonical_json

COOKIE = "vitrine_session"
QUERY_THREADS = 4  # of charts' queries: slow ones must not keep anything else waiting
PAGE_TOKEN_SPARE_S = 60  # a page token outlives the render's deadline by this much
READINESS = Readiness(
    root='html[data-vitrine="laid-out"]',
    failed_root='html[data-vitrine="failed"]',
    holder=".chart-holder",
    terminal='[data-state="drawn"],[data-state="empty"],[data-state="failed"]',
    failed='[data-state="failed"]',
    empty='[data-state="empty"]',
    spinner=".shimmer",
    login='form[action="/login/"]',
    quiet_ms=25,  # a holder says that it is drawn two frames after it is (holder.js)
    passing=("unavailable",),
)

IN_APP = InApp("native", open="url => window.vitrine.open(url)", clear="() => window.vitrine.clear()")  # page.js


@dataclass(frozen=True, slots=True)
class SavedState:
    """A permalink: a view state of one dashboard. Whoever opens it must be allowed to see the dashboard."""

    dashboard_id: str
    state: ViewState


class NativeCatalog:
    """shared.catalog.port.Catalog over the metadata database, and what the gateway's own pages need besides."""

    name = NAME
    executors: tuple[ExecutorRule, ...] = ()

    def __init__(self, sessions: sessionmaker[Session], settings: Settings, tokens: Tokens, store: KeyValue) -> None:
        self._sessions = sessions
        self._settings = settings
        self._tokens = tokens
        self._queries = Queries(settings)
        self._pool = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="query")
        entries = DataEntries(store, settings.store_prefix, stale_s=settings.data_stale_s)
        self.data = ChartData(entries, self._run, query_timeout_s=settings.query_timeout_s)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset({host_port(self._settings.renderer_url)})

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._queries.close()

    # --- the port ---

    def principal(self, username: str) -> Principal:
        with self._sessions() as session:
            found = find_principal(session, username)
        if found is None:
            raise NotFound("There is no such user.")
        return found

    def info(self, principal: Principal, target: Target) -> TargetInfo:
        self._mine(target)
        with self._sessions() as session:
            card = lookup.card(target.kind)
            return content.info_of(lookup.find(session, principal, target.kind, target.id, card))

    def list(
        self, principal: Principal, kind: TargetKind, *, offset: int = 0, limit: int = 100
    ) -> tuple[int, Sequence[TargetInfo]]:
        with self._sessions() as session:
            count, found = lookup.page_of(session, principal, kind, offset, limit)
            return count, [content.info_of(one) for one in found]

    def facts(self, target: Target, executor: str) -> Facts:
        """Raises ExecutorNotFound for an unknown or inactive executor, NotFound when they may not see the target."""
        (found,) = self.facts_of([(target, executor)])
        if isinstance(found, Facts):
            return found
        raise found

    def facts_of(self, asked: Sequence[tuple[Target, str]]) -> Sequence[Facts | ExecutorNotFound | NotFound]:
        """`facts` of each, in a number of queries that does not depend on how many they are."""
        for target, _ in asked:
            self._mine(target)
        with self._sessions() as session:
            return facts_of(session, asked)

    def controls(self, principal: Principal, target: Target) -> Mapping[str, Any]:
        self._mine(target)
        return self.dashboard_page(principal, target.id)

    def saved_state(self, principal: Principal, target: Target, key: str) -> Mapping[str, Any]:
        saved = self.permalink(key)
        if saved.dashboard_id != target.id:
            raise NotFound("This dashboard has no such permalink.")
        return saved.state.as_json()

    def renew(self, executor: str) -> bool:
        return False  # each render gets a token of its own

    def viewers(self, target: Target) -> Sequence[str]:
        self._mine(target)
        with self._sessions() as session:
            return lookup.viewers_of(session, target.kind, target.id)

    def databases(self) -> Sequence[str]:
        with self._sessions() as session:
            return session.scalars(select(Database.name).order_by(Database.name)).all()

    def popular(self, since: datetime) -> Sequence[tuple[Target, int]]:
        return ()  # its openings are in our own log

    def groups(self, target: Target) -> Sequence[Group]:
        self._mine(target)
        with self._sessions() as session:
            return lookup.groups_of(session, target.kind, target.id)

    def parts(self, target: Target, executor: str, view_state: ViewState) -> Sequence[Part]:
        self._mine(target)
        with self._sessions() as session:
            principal = executor_of(find_principals(session, [executor]), executor)
        return warmth.parts_of(self, principal, target, view_state)

    async def warm(self, part: Part, wanted: Wanted, *, run_id: str) -> Warmth:
        return await warmth.warm(self, part, wanted, run_id=run_id)

    async def _run(self, query: DataQuery) -> bytes:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, self.run, query)

    def page(self, target: Target, executor: str, view_state: ViewState, *, nonce: str, vector: bool = False) -> Page:
        self._mine(target)
        with self._sessions() as session:
            lookup.find(
                session, executor_of(find_principals(session, [executor]), executor), target.kind, target.id, ()
            )
        state = "" if view_state.is_empty else f"#state={quote(canonical_json(view_state.as_json()), safe='')}"
        base = self._settings.renderer_url
        query = f"standalone=1&render={quote(nonce, safe='')}" + "&vector=1" * vector
        ttl_s = self._settings.render_deadline_s + PAGE_TOKEN_SPARE_S
        return Page(
            url=f"{base}/{target.kind}/{target.id}/?{query}{state}",
            readiness=READINESS,
            cookies={COOKIE: self._tokens.issue(executor, Audience.PAGE, ttl_s)},
            hosts=frozenset({host_port(base), *self._settings.egress_hosts}),
            in_app=None if vector else IN_APP,
        )

    # --- the gateway's pages ---

    def dashboard_page(self, principal: Principal, dashboard_id: str) -> dict[str, Any]:
        """What the browser draws a dashboard from (content.dashboard_page). Raises NotFound."""
        with self._sessions() as session:
            whole = lookup.whole(TargetKind.DASHBOARD)
            return content.dashboard_page(lookup.find_dashboard(session, principal, dashboard_id, whole))

    def chart_page(self, principal: Principal, chart_id: str) -> dict[str, Any]:
        """What the browser draws a chart from (content.chart_page). Raises NotFound."""
        with self._sessions() as session:
            return content.chart_page(lookup.find_chart(session, principal, chart_id))

    def chart_query(
        self,
        principal: Principal,
        chart_id: str,
        dashboard_id: str | None = None,
        data_mask: Mapping[str, Any] | None = None,
    ) -> DataQuery:
        """For the rows as the principal may see them, filtered as the dashboard says.

        Raises NotFound, InvalidInput (a mask that does not fit the dashboard), QueryRefused, DatabaseUnavailable.
        """
        if dashboard_id is None and data_mask:
            raise InvalidInput("dataMask needs the dashboard_id whose filters it sets.", field="dataMask")
        with self._sessions() as session:
            chart = lookup.find_chart(session, principal, chart_id, lookup.whole(TargetKind.CHART))
            chosen = {}
            if dashboard_id is not None:
                dashboard = lookup.find_dashboard(session, principal, dashboard_id)
                if not lookup.holds(session, dashboard, chart):
                    raise lookup.not_found(TargetKind.CHART)
                chosen = filters.conditions(dashboard.filters, data_mask)
            registered = lookup.datasets_of(session, chart.database_id)
            rules = rules_for(session, principal, [dataset.id for dataset in chart.datasets])
        return self._queries.chart(chart, registered, rules, chosen)

    def option_queries(
        self, principal: Principal, dashboard_id: str
    ) -> Sequence[tuple[Mapping[str, Any], DataQuery | None]]:
        """Each filter of the dashboard and the query for what it offers (queries.offers reads its rows).

        None for a filter over a dataset that the principal may not read: it offers nothing. Raises as `chart_query`.
        """
        with self._sessions() as session:
            dashboard = lookup.find_dashboard(session, principal, dashboard_id)
            return [(entry, self._option_query(session, principal, entry)) for entry in dashboard.filters]

    def run(self, query: DataQuery) -> bytes:
        """The rows as JSON text of {"colnames", "data", "rowcount"}. Raises QueryFailed, DatabaseUnavailable."""
        return self.read(query).as_text()

    def read(self, query: DataQuery, watch: Watch | None = None) -> Rows:
        """The rows. Raises as `run`; watched, as `Reader.read`."""
        return self._queries.run(query, watch)

    def _option_query(self, session: Session, principal: Principal, entry: Mapping[str, Any]) -> DataQuery | None:
        query = select(Dataset).where(Dataset.name == entry["dataset"])
        dataset = session.scalar(query.options(selectinload(Dataset.roles), joinedload(Dataset.database)))
        if dataset is None or not may_read(principal, dataset):
            return None
        registered = lookup.datasets_of(session, dataset.database_id)
        return self._queries.options(entry, dataset, registered, rules_for(session, principal, [dataset.id]))

    def views(self, database: str) -> dict[tuple[str, str], str]:
        """The SQL of the database's views; {} for a database that we do not have. Raises DatabaseUnavailable."""
        with self._sessions() as session:
            url = session.scalar(select(Database.url).where(Database.name == database))
        return self._queries.views(url) if url is not None else {}

    def save_permalink(self, principal: Principal, dashboard_id: str, state: ViewState) -> str:
        """The key of a permalink to this state; the same state has the same key. Raises NotFound."""
        with writing(self._sessions) as session:
            dashboard = lookup.find_dashboard(session, principal, dashboard_id)
            key = content_hash({"dashboard": dashboard.id, "state": state.as_json()})
            if session.get(Permalink, key) is None:
                session.add(
                    Permalink(key=key, dashboard_id=dashboard.id, state=state.as_json(), created_by=principal.username)
                )
        return key

    def permalink(self, key: str) -> SavedState:
        """Raises NotFound for an unknown key. Who may see the dashboard is not looked at here."""
        with self._sessions() as session:
            saved = session.get(Permalink, key)
        if saved is None:
            raise NotFound("There is no such permalink.")
        return SavedState(str(saved.dashboard_id), ViewState.from_json(saved.state))

    def log_view(
        self,
        principal: Principal,
        target: Target,
        *,
        source: str,
        view_state: ViewState | None = None,
    ) -> None:
        """Notes that somebody looked. Not for renders: they would feed the ranking that makes them."""
        with writing(self._sessions) as session:
            session.add(
                ViewLog(
                    username=principal.username,
                    catalog=target.catalog,
                    target_kind=target.kind.value,
                    target_id=target.id,
                    source=source,
                    view_state=view_state.as_json() if view_state is not None else None,
                )
            )

    def _mine(self, target: Target) -> None:
        if target.catalog != self.name:
            raise lookup.not_found(target.kind)
