"""Entry point: `python -m services.scheduler`. Any number may run; one leads."""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial

from dramatiq import Broker
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.daemon import AtIntervals, Daemon, Duty
from services.scheduler.duties import LookAfterQueries, Prune, ScheduleFile, WarmUpSchedules
from services.scheduler.leader import Leader
from services.scheduler.refresh import Refresh
from services.scheduler.schedules import Fires, Schedule
from services.scheduler.warmups import WarmupFires
from services.scheduler.watching import Watching
from shared import logs, metrics, tracing
from shared.catalog import open_catalogs
from shared.errors import InvalidInput, VitrineError
from shared.heartbeats import Heart
from shared.listing import ListingPublisher
from shared.metadata.clock import instant
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.open_renders import OpenRenders
from shared.metadata.records import RenderRecords
from shared.metadata.retention import Retention
from shared.pulse import Pulse
from shared.queue import BrokerPublisher, QueryPublisher, open_broker
from shared.queue_watch import open_watch
from shared.requests import Requests
from shared.settings import Settings, load
from shared.sqllab.care import Care
from shared.sqllab.engines import Engines
from shared.store import open_store, pictures_in
from shared.warmup.runs import Runs
from shared.warmup.schedules import Schedules, read
from shared.warmup.start import WarmUps

WARM_UP_TICK_S = 2.0  # a schedule fires this late at most


def build(settings: Settings, publisher: QueryPublisher, broker: Broker) -> Daemon:
    """The scheduler, wired; nothing is opened on the network yet. Raises InvalidInput for a bad schedules file."""
    # Stopped inside a transaction, a leader must not keep the lease's row from those who would take over.
    factory = sessions(open_metadata(settings, idle_s=settings.lease_s / 2))
    store = open_store(settings, side="renderer")
    pictures, fires, runs = pictures_in(store, settings), Fires(factory), Runs(factory)
    rows = OpenRenders(factory)
    requests = Requests(settings, open_catalogs(settings, factory, store), pictures, ListingPublisher(publisher, rows))
    refresh = Refresh(settings, requests, pictures, RenderRecords(factory))
    clock, file = partial(instant, factory), _file(settings, factory)
    prune = Prune(Retention(factory, settings), clock)
    duties: list[Duty] = [
        AtIntervals(Schedule("refresh", settings.refresh_interval_s), fires, refresh),
        WarmUpSchedules(WarmupFires(factory), runs, WarmUps(runs, publisher), file, clock),
        LookAfterQueries(Care(Engines(settings), factory, publisher)),
        AtIntervals(Schedule("retention", settings.retention_interval_s), fires, prune),
    ]
    tick_s = min(settings.lease_s / 4, settings.refresh_interval_s, WARM_UP_TICK_S)
    leader = Leader(factory, settings.lease_s)
    heart = Heart(factory, "scheduler", lambda: {"leading": leader.token is not None})
    watching = Watching(open_watch(settings, broker), store, factory)
    return Daemon(leader, duties, tick_s=tick_s, companions=[heart, watching], at_end=[rows.close])


def _file(settings: Settings, factory: sessionmaker[Session]) -> ScheduleFile | None:
    """The schedules file, checked: a fault in it stops the process now, with one line."""
    if settings.schedules_file is None:
        return None
    read(settings.schedules_file)
    return ScheduleFile(settings.schedules_file, Schedules(factory, settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = open_broker(settings)
    publisher, pulse = BrokerPublisher(broker), Pulse("scheduler")
    try:
        pulse.start()
        await build(settings, publisher, broker).run(stop)
    finally:
        pulse.stop()
        publisher.close()
        tracing.flush()


def main() -> None:
    try:
        settings = load()
        if settings.embedded:
            raise InvalidInput(
                "VITRINE_BROKER_URL: a separate scheduler needs amqp://…; without a broker run `vitrine up` instead."
            )
        logs.configure(settings, "scheduler")
        tracing.configure(settings, "scheduler")
        metrics.serve(settings.metrics_bind, settings.scheduler_metrics_port)
        asyncio.run(_run(settings))
    except VitrineError as error:
        sys.exit(f"vitrine: {error.message}")


if __name__ == "__main__":
    main()
