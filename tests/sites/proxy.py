"""A reverse proxy before the gateway, through which the renderer alone goes, and that misbehaves on demand.

with proxy.hold("/data/") as held:      # requests for such paths wait, until the block ends
    held.wait(); …
with proxy.answer("/chart/", 500): …
with proxy.cut("/data/"): …             # answers break off in their middle
with proxy.inject("/chart/", "<script>while (true) {}</script>"): …   # into HTML, and no CSP to forbid it
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.harness.polling import wait_until

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(eq=False)
class Fault:
    """What happens to requests whose path holds `fragment`. Status -1: the connection is closed without an answer."""

    fragment: str
    status: int = 0
    script: str = ""
    cut: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    hits: int = 0

    def wait(self, timeout_s: float = 45, hits: int = 1) -> None:
        """Until so many requests have run into it."""
        wait_until(lambda: self.hits >= hits, timeout_s, f"{hits} requests for {self.fragment} at the proxy")

    def release(self) -> None:
        self.released.set()


class FaultProxy:
    """Forwards to the gateway; `paths` are those of all requests so far."""

    def __init__(self, gateway: str) -> None:
        self.gateway = urlsplit(gateway)
        self.paths: list[str] = []
        self.faults: list[Fault] = []
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def hold(self, fragment: str) -> Iterator[Fault]:
        with self._while(Fault(fragment)) as fault:
            yield fault

    @contextlib.contextmanager
    def answer(self, fragment: str, status: int) -> Iterator[Fault]:
        with self._while(Fault(fragment, status=status)) as fault:
            yield fault

    @contextlib.contextmanager
    def inject(self, fragment: str, script: str) -> Iterator[Fault]:
        with self._while(Fault(fragment, script=script)) as fault:
            yield fault

    @contextlib.contextmanager
    def cut(self, fragment: str) -> Iterator[Fault]:
        with self._while(Fault(fragment, cut=True)) as fault:
            yield fault

    def close(self) -> None:
        for fault in self.faults:
            fault.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextlib.contextmanager
    def _while(self, fault: Fault) -> Iterator[Fault]:
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)
            fault.release()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that was killed breaks its connections off; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        proxy = self.server.proxy
        proxy.paths.append(self.path)
        fault = next((fault for fault in proxy.faults if fault.fragment in self.path), None)
        if fault is None:
            self._answer(*self._forward())
            return
        fault.hits += 1
        if fault.status < 0:
            self.close_connection = True  # without an answer
        elif fault.status:
            self._answer(fault.status, [("Content-Type", "text/plain")], b"out of order")
        elif fault.cut:
            self.close_connection = True
            self._answer(*self._forward(), cut=True)
        elif fault.script:
            status, headers, body = self._forward()
            headers = [(name, value) for name, value in headers if name.lower() != "content-security-policy"]
            self._answer(status, headers, body.replace(b"<head>", b"<head>" + fault.script.encode(), 1))
        else:
            fault.released.wait()
            self._answer(*self._forward())

    do_POST = do_PUT = do_GET  # noqa: N815  # http.server's names

    def _forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        gateway = self.server.proxy.gateway
        connection = http.client.HTTPConnection(gateway.hostname or "", gateway.port, timeout=30)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers["Accept-Encoding"] = "identity"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            return answer.status, kept, answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_: Any) -> None:
        """Silent."""
