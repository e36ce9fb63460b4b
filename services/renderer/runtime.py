"""What a renderer process opens after boot and closes at its end: database, store, browser pool; and the middleware
stack.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Coroutine
from typing import Any

import dramatiq
import structlog
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.middleware import AsyncIO, CurrentMessage, TimeLimit

from services.renderer.actors import Failures, SafeRetries, register
from services.renderer.cancelling import heed
from services.renderer.child import Child, SideWorker
from services.renderer.pool import BULK_NICE, BrowserPool
from services.renderer.processes import end_with_parent
from services.renderer.renders import Renders
from shared import metrics, tracing
from shared.catalog import hosts_of, open_catalogs
from shared.errors import VitrineError
from shared.heartbeats import Heart
from shared.messages.render import Origin, RenderRequest
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.open_renders import OpenRenders
from shared.metadata.records import RenderRecords
from shared.pulse import Pulse
from shared.queue import QUEUES, RENDER_QUEUES, open_broker
from shared.settings import Settings
from shared.store import open_store, pictures_in
from shared.store.pictures import Pictures

log = structlog.get_logger(__name__)
START_S = 60
DRAIN_S = 30


class DaemonAsyncIO(AsyncIO):
    """AsyncIO whose loop thread can't keep a dying process alive: a second SIGTERM would hang on it."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if isinstance(worker, SideWorker):
            return
        thread = EventLoopThread(self.logger)
        thread.daemon = True
        thread.start(timeout=5.0)
        set_event_loop_thread(thread)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if not isinstance(worker, SideWorker):  # which ends before the renders' does, and never had the loop
            super().after_worker_shutdown(broker, worker)  # type: ignore[no-untyped-call]


class Runtime(dramatiq.Middleware):
    """Opens the renderer's resources on the event loop; must stand after AsyncIO, so that it closes before the loop
    does.
    """

    def __init__(self, settings: Settings, *, own_process: bool = True) -> None:
        self._settings = settings
        self._own_process = own_process
        self._children: list[Child] = []
        self._renders: Renders | None = None
        self._pool: BrowserPool | None = None  # of renders that somebody waits for
        self._bulk_pool: BrowserPool | None = None  # of the others
        self._pictures: Pictures | None = None
        self._listing: OpenRenders | None = None
        self._heart: Heart | None = None
        self._pulse = Pulse("renderer")

    async def handle(self, request: RenderRequest, is_last_try: bool) -> None:
        assert self._renders is not None, "before_worker_boot builds it before any message is taken"
        await self._renders.handle(request, is_last_try)

    async def refuse(self, payload: dict[str, Any], error: VitrineError) -> None:
        assert self._renders is not None, "before_worker_boot builds it before any message is taken"
        await self._renders.refuse(payload, error)

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if isinstance(worker, SideWorker):
            return
        # Of each of the two queues so many are in hand: what waits for its turn keeps no viewer from a thread.
        worker.worker_threads += self._settings.render_threads
        if self._own_process:
            end_with_parent(_master())
            self._children = [Child(module) for module in children_of(self._settings)]
            metrics.serve(self._settings.metrics_bind, self._settings.renderer_metrics_port)
        try:
            _on_loop(self._open(), START_S)
        except VitrineError as error:
            # The process ends with a named reason and its supervisor restarts it; a renderer without a browser only
            # eats messages.
            log.error("renderer_cannot_start", code=error.code, reason=error.message)
            sys.exit(3)
        except Exception:  # emit_before would swallow it, and the worker would eat messages without a browser
            log.exception("renderer_cannot_start", code="internal")
            sys.exit(3)

    async def _open(self) -> None:
        factory = sessions(open_metadata(self._settings))
        store = open_store(self._settings, side="renderer")
        catalogs = open_catalogs(self._settings, factory, store)
        self._pictures = pictures_in(store, self._settings)
        hosts = hosts_of(self._settings, catalogs)
        self._pool = BrowserPool(self._settings, hosts)
        self._bulk_pool = BrowserPool(self._settings, hosts, nice=BULK_NICE)
        await self._pool.start()
        await self._bulk_pool.start(lazily=True)
        records = RenderRecords(factory, self._settings.keep_evidence)
        listing = self._listing = OpenRenders(factory)
        renders = self._renders = Renders(self._settings, catalogs, self._pictures, self._pool_for, records, listing)
        listing.nothing_in_hand(renders.owner)

        async def after_beat() -> None:
            listing.only_in_hand(renders.owner, renders.desk.request_ids)
            await heed(factory, renders.desk)

        self._heart = Heart(factory, "renderer", self._describe, after=after_beat)
        self._heart.start()
        if self._own_process:
            self._pulse.start()

    def _pool_for(self, origin: Origin) -> BrowserPool:
        pool = self._pool if origin is Origin.VIEWER else self._bulk_pool
        assert pool is not None, "_open builds both before any message is taken"
        return pool

    def _describe(self) -> dict[str, Any]:
        assert self._renders is not None, "_open builds it before the first heartbeat"
        return {
            "work": self._renders.desk.describe(),
            "browser": _described(self._pool_for(Origin.VIEWER)),
            "bulk_browser": _described(self._pool_for(Origin.REFRESH)),
            "threads": self._settings.render_threads,
        }

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if isinstance(worker, SideWorker):
            return
        for child in self._children:
            child.stop()
        _on_loop(self._close(), DRAIN_S)

    async def _close(self) -> None:
        self._pulse.stop()
        if self._heart is not None:
            await self._heart.stop()
        pools = [pool for pool in (self._pool, self._bulk_pool) if pool is not None]
        for failed in filter(None, await asyncio.gather(*(pool.drain() for pool in pools), return_exceptions=True)):
            log.error("browser_pool_not_drained", exc_info=failed)
        if self._listing is not None:
            await self._listing.close()
        if self._pictures is not None:
            await self._pictures.close()
        await asyncio.to_thread(tracing.flush)


def _described(pool: BrowserPool) -> dict[str, Any]:
    return {"version": pool.chosen.version if pool.chosen else "", **pool.stats}


def children_of(settings: Settings) -> list[str]:
    """The modules of the processes that a renderer has beside itself."""
    wanted = {
        "services.renderer.warm_worker": settings.warm_threads,
        "services.renderer.query_worker": settings.query_long_threads,
    }
    return [module for module, threads in wanted.items() if threads]


def build_broker(settings: Settings, *, own_process: bool = True) -> dramatiq.Broker:
    """The renderer's broker with its middleware, in order, and its actors."""
    runtime = Runtime(settings, own_process=own_process)
    middleware: list[dramatiq.Middleware] = [
        CurrentMessage(),  # the actor reads how often it was tried
        DaemonAsyncIO(),  # one event loop a process; Playwright's objects live on it
        runtime,  # after AsyncIO: opened on its loop, closed before it stops
        TimeLimit(interval=100),  # cuts what outlives even our own deadline; checked each 100 ms
        SafeRetries(),
        Failures(),  # after Retries in this list, so before it when a message ends
    ]
    # In a tree of one process all queues are in its broker; else the others are left to processes of their own.
    broker = open_broker(settings, middleware, queues=QUEUES if settings.embedded else RENDER_QUEUES)
    register(broker, settings, runtime.handle, runtime.refuse)
    return broker


def _master() -> int:
    """The process id of dramatiq's command, which started this worker process."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None or multiprocessing.get_start_method() == "forkserver":
        return os.getppid()  # of the fork server (Python 3.14), which ends with the command
    return parent.pid


def _on_loop(coroutine: Coroutine[Any, Any, None], timeout_s: float) -> None:
    thread = get_event_loop_thread()
    assert thread is not None, "AsyncIO stands before Runtime"
    asyncio.run_coroutine_threadsafe(coroutine, thread.loop).result(timeout_s)
