"""gunicorn's ASGI worker, made not to wait at its end for connections on which nobody has asked for anything.

On SIGTERM gunicorn's own waits for every open connection: an idle one until `keepalive` passes, one that a browser or a
proxy opened in advance until `graceful_timeout` does. It has no hook for connections, so two of its names are relied
on here; tests/system/test_shutdown.py notices when they change.
"""

from __future__ import annotations

import signal
import weakref
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from services.api.endings import ENDINGS


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no types
    """One that its worker knows."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        worker.connections.add(self)

    def close_if_idle(self) -> None:
        if self._awaiting_request and not self._finishing_calls:
            self._keepalive_timeout()  # what ends an idle connection at any time


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]
    """Requests that are being answered are still answered, each with `Connection: close`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    def init_signals(self) -> None:
        """uvloop heeds signals while it runs: a SIGTERM that came while the application was loaded would be lost, and
        the worker waited for until `graceful_timeout`.
        """
        super().init_signals()
        signal.signal(signal.SIGTERM, lambda *_: self.handle_exit_signal())

    async def _serve(self) -> None:
        self.loop.add_signal_handler(signal.SIGTERM, self.handle_exit_signal)
        await super()._serve()

    async def _shutdown(self) -> None:
        for server in self.servers:
            server.close()  # first: nothing new is accepted
        for end in self.state.get(ENDINGS, ()):  # then: answers that would go on for ever
            end()
        for connection in list(self.connections):
            connection.close_if_idle()
        await super()._shutdown()


gasgi.ASGIProtocol = Connection  # the name by which the worker makes its connections
