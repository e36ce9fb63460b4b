"""The three services in one process tree: the same code with an in-process broker instead of RabbitMQ.

gunicorn's one worker process serves the gateway; the renderer's worker threads and the scheduler's loop live in it,
started and stopped with the application.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dramatiq
from gunicorn.app.base import Application

import services.api
from services.api.app import create_app
from services.api.services import build as build_gateway
from services.renderer.query_worker import Querying
from services.renderer.runtime import build_broker
from services.renderer.warm_worker import Warming
from services.scheduler.__main__ import build as build_scheduler
from services.scheduler.daemon import Daemon
from shared import logs, tracing
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.migrations import upgrade
from shared.metadata.open_renders import forget_all
from shared.metadata.secrets import reencrypt
from shared.queue import RENDER_QUEUES, SQL_QUEUES, BrokerPublisher
from shared.settings import Settings
from shared.sqllab.records import Queries
from shared.sqllab.sweeping import Sweeper
from shared.store import open_store
from shared.store.disk import Disk

GATEWAY_CONFIGURATION = Path(services.api.__file__).with_name("gunicorn.conf.py")
JOIN_S = 10
DRAIN_S = 30  # what is being rendered may end; what waits in the queue is asked for again


class Embedded:
    """Renderer and scheduler beside the gateway; Falcon calls the two methods with the application's lifespan."""

    def __init__(self, settings: Settings, broker: dramatiq.Broker, publisher: BrokerPublisher, daemon: Daemon) -> None:
        self._broker = broker
        self._worker = dramatiq.Worker(broker, queues=set(RENDER_QUEUES), worker_threads=settings.render_threads)
        self._sides: list[Warming | Querying] = []
        if settings.warm_threads:
            self._sides.append(Warming(settings, broker, publisher))
        if settings.query_long_threads:
            self._sides.append(Querying(settings, dict.fromkeys(SQL_QUEUES, broker), publisher))
        self._daemon = daemon
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._schedule, name="scheduler", daemon=True)

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        self._broker.emit_after("process_boot")  # as dramatiq's own command does; the time limit waits for it
        await asyncio.to_thread(self._worker.start)
        for side in self._sides:
            await asyncio.to_thread(side.start)
        self._thread.start()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.gather(*(asyncio.to_thread(side.stop) for side in self._sides))
        await asyncio.to_thread(self._worker.stop)
        await asyncio.to_thread(self._thread.join, JOIN_S)

    def _schedule(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._daemon.run(self._stop))


class _Server(Application):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with the gateway's own configuration, but one worker: queue and renderer live in it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def init(self, parser: Any, opts: Any, args: Any) -> None:
        """No command line of gunicorn's own."""

    def load_config(self) -> None:
        self.load_config_from_file(str(GATEWAY_CONFIGURATION))
        self.cfg.set("workers", 1)
        self.cfg.set("graceful_timeout", max(DRAIN_S, self.cfg.graceful_timeout))

    def load(self) -> Any:
        settings = self._settings
        tracing.configure(settings, "embedded")
        broker = build_broker(settings, own_process=False)
        publisher = BrokerPublisher(broker)
        app = create_app(build_gateway(settings, publisher=publisher, broker=broker))
        app.add_middleware(Embedded(settings, broker, publisher, build_scheduler(settings, publisher, broker)))
        return app


async def _forget_the_dead(settings: Settings) -> None:
    """The queue was in memory: what the store says to be Pending or Computing died with the process that had it, and
    queries that wait are to be published again.
    """
    factory = sessions(open_metadata(settings))
    Sweeper(factory, Queries(factory)).forget_publications()
    forget_all(factory)
    store = open_store(settings, side="gateway")
    if isinstance(store, Disk):
        await store.forget(":state")
    await store.close()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. First bring the metadata database up to date: there is nobody else to do it."""
    logs.configure(settings, "vitrine")
    engine = open_metadata(settings)
    upgrade(engine)
    reencrypt(engine)
    engine.dispose()
    asyncio.run(_forget_the_dead(settings))
    _Server(settings).run()
