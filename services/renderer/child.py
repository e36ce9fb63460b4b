"""A process beside a renderer: started with it, started again when it ends, ended with it. And what it does itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Protocol

import dramatiq
import structlog

from services.renderer.processes import end_with_parent, hurry, step_back
from shared import logs, metrics, tracing
from shared.errors import InvalidInput, VitrineError
from shared.queue import BrokerPublisher, open_broker
from shared.settings import Settings, load

log = structlog.get_logger(__name__)
CHILD = "--child-of"  # and a process id: that of the renderer who started this process and with whom it is to end
RESTART_S = 2.0
STOP_S = 12.0


class SideWorker(dramatiq.Worker):
    """A worker of other queues than the renders'; the middleware of renders leaves it alone by its type."""


class Child:
    """`module` is what `python -m` runs."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._name = module.rpartition(".")[2]
        metrics.begin(metrics.CHILD_RESTARTS, [self._name])
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel ends the child when the *thread* that started it ends: this one lives as long as we do.
        self._thread = threading.Thread(target=self._keep, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._process = subprocess.Popen([sys.executable, "-m", self._module, CHILD, str(os.getpid())])
            if self._stopping.is_set():
                self._process.terminate()
            code = self._process.wait()
            if not self._stopping.wait(RESTART_S):
                log.warning("child_process_ended", module=self._module, code=code)
                metrics.CHILD_RESTARTS.labels(self._name).inc()


class Part(Protocol):
    """What such a process is for."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def run(
    name: str, build: Callable[[Settings, BrokerPublisher], Part], port: Callable[[Settings], int], *, nice: int = 0
) -> None:
    """The whole life of such a process: until SIGTERM, or until the renderer that started it has ended.

    `name` is what its logs and spans call it, `port` that of its /metrics. Exits with one line for what is set wrongly.
    """
    try:
        _live(name, build, port, nice)
    except VitrineError as error:
        sys.exit(f"vitrine: {error.message}")


def _live(
    name: str, build: Callable[[Settings, BrokerPublisher], Part], port: Callable[[Settings], int], nice: int
) -> None:
    settings = load()
    if settings.embedded:
        raise InvalidInput(f"VITRINE_BROKER_URL: a separate {name} process needs amqp://…; run `vitrine up` instead.")
    logs.configure(settings, name)
    tracing.configure(settings, name)
    if CHILD in sys.argv:
        end_with_parent(int(sys.argv[-1]))
    if nice:
        step_back(nice, own_session=CHILD in sys.argv)
    metrics.serve(settings.metrics_bind, port(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    publisher = BrokerPublisher(open_broker(settings))
    part = build(settings, publisher)
    part.start()
    stop.wait()
    late = threading.Timer(STOP_S, _leave)
    late.daemon = True
    late.start()
    if nice:
        hurry()
    part.stop()
    publisher.close()
    tracing.flush()


def _leave() -> None:
    """Of a process whose renderer is gone: nobody else would end what hangs at its end."""
    log.error("child_end_hung", after_s=STOP_S)
    os._exit(1)
