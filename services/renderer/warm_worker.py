"""The warming process of a renderer: `python -m services.renderer.warm_worker`. The renderer starts one beside itself.

It has a queue and a process of its own, and a lower priority for the operating system, so that neither a message nor a
busy interpreter of warm-up ever stands before a render. More may run on other machines. `vitrine up` without a broker
has it as threads (`Warming`).
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dramatiq
import structlog
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from services.renderer.actors import Failures, SafeRetries, backoff_ms
from services.renderer.child import SideWorker, run
from services.renderer.warming import Busy, Warmer, open_warmer
from shared import logs, tracing
from shared.catalog import open_catalogs
from shared.consuming import TROUBLES_OPTION
from shared.errors import Internal, VitrineError
from shared.heartbeats import Heart
from shared.listing import ListingPublisher
from shared.messages import warm
from shared.messages.warm import WarmRequest
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.open_renders import OpenRenders
from shared.queue import WARM_ACTOR, WARM_QUEUE, BrokerPublisher, WarmPublisher, open_broker
from shared.requests import Requests
from shared.settings import Settings
from shared.store import open_store, pictures_in
from shared.warmup.runs import FAULT

log = structlog.get_logger(__name__)
NICE = 19  # the least: whatever else runs on the machine comes first
SLOT_WAIT_S = 5.0  # in hand of a worker; then the message waits in the queue
BUSY_MS = 2000
PATIENCE_S = 900  # beyond every limit of our own: a bug must not hold a worker's thread for ever
STOP_MS = 8000


class Warming:
    """The warm-up actor with an event loop of its own; `start` and `stop` are called from any thread."""

    def __init__(self, settings: Settings, broker: dramatiq.Broker, publisher: WarmPublisher) -> None:
        self._settings = settings
        self._publisher = publisher
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="warming", daemon=True)
        self._warmer: Warmer | None = None
        self._heart: Heart | None = None
        self._open_renders: OpenRenders | None = None
        self._in_hand: dict[str, dict[str, Any]] = {}
        self._worker = SideWorker(broker, queues={WARM_QUEUE}, worker_threads=max(1, settings.warm_threads))
        # Its retries are its own: a busy database is not a failing message.
        dramatiq.actor(
            actor_name=WARM_ACTOR, broker=broker, queue_name=WARM_QUEUE, max_retries=10**6, throws=(VitrineError,)
        )(self._act)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE_S)
        self._worker.start()
        log.info("warming_started", threads=self._worker.worker_threads)

    def stop(self) -> None:
        """What is in hand may end, shortly; the rest is delivered again."""
        self._worker.stop(STOP_MS)
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)

    async def _open(self) -> None:
        settings, factory = self._settings, sessions(open_metadata(self._settings))
        store = open_store(settings, side="renderer")
        catalogs = open_catalogs(settings, factory, store)
        self._open_renders = OpenRenders(factory)
        listing = ListingPublisher(self._publisher, self._open_renders)
        requests = Requests(settings, catalogs, pictures_in(store, settings), listing)
        self._warmer = open_warmer(settings, factory, store, catalogs, requests)
        self._heart = Heart(factory, "warming", self._describe)
        self._heart.start()

    async def _close(self) -> None:
        if self._heart is not None:
            await self._heart.stop()
        if self._open_renders is not None:
            await self._open_renders.close()

    def _describe(self) -> dict[str, Any]:
        return {"work": list(self._in_hand.values()), "threads": self._worker.worker_threads}

    def _act(self, request: dict[str, Any]) -> None:
        message = CurrentMessage.get_current_message()
        decoded = warm.decode(request)
        try:
            asyncio.run_coroutine_threadsafe(self._carry_out(decoded), self._loop).result(PATIENCE_S)
        except Busy as error:
            raise Retry(str(error), delay=BUSY_MS + random.randrange(BUSY_MS)) from error  # noqa: S311
        except VitrineError as error:
            delay = _delay_ms(error, message.options if message else {})
            if delay is None:
                self._end(decoded, error)
                raise
            raise Retry(error.message, delay=delay) from error
        except Exception as error:  # whatever it was, the run must end, and the log must say what
            log.exception("warming_internal_error", run_id=decoded.run_id, number=decoded.number)
            internal = Internal(FAULT)
            self._end(decoded, internal)
            raise internal from error

    def _end(self, request: WarmRequest, error: VitrineError) -> None:
        asyncio.run_coroutine_threadsafe(self._give_up(request, error), self._loop).result(PATIENCE_S)

    async def _give_up(self, request: WarmRequest, error: VitrineError) -> None:
        assert self._warmer is not None, "start() opens it before any message is taken"
        try:
            if request.number:
                await self._warmer.give_up(request.run_id, request.number, error)
            else:
                await self._warmer.give_up_run(request.run_id, error)
        except VitrineError as other:  # the metadata database: its sweep ends what is left
            log.warning("warm_up_end_not_written", run_id=request.run_id, number=request.number, reason=other.message)

    async def _carry_out(self, request: WarmRequest) -> None:
        assert self._warmer is not None, "start() opens it before any message is taken"
        with (
            logs.bound(correlation_id=request.correlation_id, run_id=request.run_id),
            self._taken(request),
            tracing.span(
                "warm up",
                trace=request.correlation_id,
                handles=request.id,
                kind="consumer",
                run_id=request.run_id,
                part=request.number,
            ),
        ):
            if request.number:
                await self._warmer.one(request.run_id, request.number, wait_s=SLOT_WAIT_S)
                return
            for number in await self._warmer.decide(request.run_id):
                part = WarmRequest(
                    request.run_id,
                    number,
                    request.published_at,
                    request.correlation_id,
                    max(0, request.priority - 1),  # whole runs first: what they warm is known early
                )
                await self._publisher.publish_warm(part)

    @contextmanager
    def _taken(self, request: WarmRequest) -> Iterator[None]:
        """In hand, as the heartbeat tells it."""
        what = f"warm-up, part {request.number}" if request.number else "warm-up, what to warm"
        since = datetime.now(UTC).isoformat()
        about = {"run_id": request.run_id, "correlation_id": request.correlation_id, "since": since}
        self._in_hand[request.id] = {"id": request.id, "what": what, **about}
        try:
            yield
        finally:
            self._in_hand.pop(request.id, None)


def _delay_ms(error: VitrineError, options: dict[str, Any]) -> int | None:
    """How long until the next try, noted in the message's options; None when it is given up.

    Counted apart from Dramatiq's `retries`, in which every wait for a busy database is one too.
    """
    troubles = options.get(TROUBLES_OPTION, 0)
    options[TROUBLES_OPTION] = troubles + 1
    return backoff_ms(error, troubles)


def build_broker(settings: Settings) -> dramatiq.Broker:
    middleware: list[dramatiq.Middleware] = [CurrentMessage(), SafeRetries(), Failures()]
    return open_broker(settings, middleware, queues=(WARM_QUEUE,), threads=settings.warm_threads)


def _build(settings: Settings, publisher: BrokerPublisher) -> Warming:
    return Warming(settings, build_broker(settings), publisher)


if __name__ == "__main__":
    run("warming", _build, lambda settings: settings.warming_metrics_port, nice=NICE)
