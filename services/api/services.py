"""The one builder of the gateway's process: settings → everything that the routes use. No global clients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from dramatiq import Broker
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from services.api.access import Access
from services.api.blocking import Blocking
from services.api.cache_keys import CacheKeys
from services.api.dependencies import Dependencies, open_dependencies
from services.api.inputs import target_of
from services.api.limits import LoginLimits
from services.api.querying import Querying, open_querying
from services.api.refresh import Refresher
from services.api.templates import Pages, open_pages
from services.api.warming import Warming, open_warming
from shared import tracing
from shared.catalog import open_catalogs
from shared.catalog.native import NativeCatalog
from shared.catalog.port import Catalog
from shared.catalog.superset.catalog import SupersetCatalog
from shared.heartbeats import Heart
from shared.identity import Principal, Tokens
from shared.listing import ListingPublisher
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.open_renders import OpenRenders
from shared.queue import BrokerPublisher, QueryPublisher, open_broker
from shared.queue_watch import QueueWatch, open_watch
from shared.requests import Requests
from shared.settings import Settings
from shared.store import open_store, pictures_in
from shared.store.pictures import Pictures
from shared.store.port import KeyValue
from shared.targets import Target, TargetKind, ViewState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Built once per process, opened and closed with it."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    tokens: Tokens
    catalog: NativeCatalog  # whose pages we serve; the others are reached through `requests`
    store: KeyValue
    pictures: Pictures
    publisher: QueryPublisher
    requests: Requests
    superset: SupersetCatalog | None
    blocking: Blocking  # metadata and passwords: short
    access: Access
    refresher: Refresher
    warming: Warming
    querying: Querying
    limits: LoginLimits
    cache_keys: CacheKeys
    pages: Pages
    heart: Heart
    dependencies: Dependencies
    watch: QueueWatch
    open_renders: OpenRenders
    background: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Looks at each dependency and logs what it found; with one down, we still serve what we can."""
        for name, check in (await self.dependencies.start()).items():
            (log.info if check.ok else log.error)("dependency", name=name, ok=check.ok, reason=check.reason)
        self.heart.start()

    async def close(self) -> None:
        await self.heart.stop()
        await self.dependencies.close()
        await self.refresher.close()
        await self.catalog.data.close()
        await self.warming.usage.close()
        await self.querying.close()
        if self.background:
            await asyncio.wait(self.background, timeout=2)
        await self.open_renders.close()
        self.publisher.close()
        self.blocking.close()
        for catalog in self.requests.catalogs:
            catalog.close()
        await self.store.close()
        self.engine.dispose()
        await asyncio.to_thread(tracing.flush)

    def target(self, kind: TargetKind, target_id: str) -> Target:
        """What a path's id names. Raises NotFound."""
        return target_of(kind, target_id, self.settings.default_catalog)

    def note_view(
        self, principal: Principal, target: Target, *, source: str, view_state: ViewState | None = None
    ) -> None:
        """Returns at once: nobody waits for the view log, and a view that is not noted hurts nobody."""
        noting = asyncio.create_task(self._note_view(principal, target, source, view_state))
        self.background.add(noting)
        noting.add_done_callback(self.background.discard)

    async def _note_view(self, principal: Principal, target: Target, source: str, view_state: ViewState | None) -> None:
        try:
            await self.blocking(self.catalog.log_view, principal, target, source=source, view_state=view_state)
        except Exception as error:  # noqa: BLE001  # nobody awaits this: without a line here the fault would be lost
            log.warning("view_not_noted", target=str(target), error=str(error))


def build(settings: Settings, *, publisher: QueryPublisher | None = None, broker: Broker | None = None) -> Services:
    """Connects nothing: clients do at their first use. `publisher`, `broker`: instead of those of the settings."""
    secret = settings.secret_key.get_secret_value()
    engine = open_metadata(settings)
    factory = sessions(engine)
    store = open_store(settings, side="gateway")
    catalogs = open_catalogs(settings, factory, store)
    native, superset = _with_people(catalogs)
    pictures = pictures_in(store, settings)
    broker = broker or open_broker(settings)
    publisher = publisher or BrokerPublisher(broker)
    open_renders = OpenRenders(factory)
    requests = Requests(settings, catalogs, pictures, ListingPublisher(publisher, open_renders))
    blocking = Blocking()
    return Services(
        settings=settings,
        engine=engine,
        sessions=factory,
        tokens=Tokens(secret),
        catalog=native,
        store=store,
        pictures=pictures,
        publisher=publisher,
        requests=requests,
        superset=superset,
        blocking=blocking,
        access=Access(requests, blocking, settings.access_cache_s),
        refresher=Refresher(requests, settings.retry_after_s),
        warming=open_warming(settings, factory, publisher, catalogs),
        querying=open_querying(settings, factory, publisher, blocking),
        limits=LoginLimits(store, settings.store_prefix, settings.login_attempts_per_minute),
        cache_keys=CacheKeys(secret),
        pages=open_pages(),
        heart=Heart(factory, "gateway"),
        dependencies=open_dependencies(settings, store, engine, blocking),
        watch=open_watch(settings, broker),
        open_renders=open_renders,
    )


def _with_people(catalogs: Mapping[str, Catalog]) -> tuple[NativeCatalog, SupersetCatalog | None]:
    """Those whose people we know: our own, whose pages we serve, and a Superset's, if there is one."""
    native = catalogs[NativeCatalog.name]
    assert isinstance(native, NativeCatalog)
    return native, next((one for one in catalogs.values() if isinstance(one, SupersetCatalog)), None)
