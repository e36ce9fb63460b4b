"""The server: one thread a connection; pages come from `pages.py`, and every request is noted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.sites.making import Answer
from tests.sites.pages import PAGES


@dataclass
class Hit:
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)


class Site:
    """`url("slow-chart", ms=300)` → an address; `hits` are the requests so far. Unknown pages are 404."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.closing = threading.Event()  # lets go of the requests that are never answered
        self._server = _Server(("127.0.0.1", 0), self)
        self.port: int = self._server.server_port
        self.host = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, page: str, **query: Any) -> str:
        return f"http://{self.host}/{page}?" + "&".join(f"{name}={value}" for name, value in query.items())

    def paths(self) -> list[str]:
        return [hit.path for hit in self.hits]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that was killed breaks its connections off; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.site.hits.append(Hit(parts.path, query, dict(self.headers)))
        make = PAGES.get(parts.path.strip("/"))
        answer = make(query, self.server.site) if make else Answer("no such page", 404)
        body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
        self.close_connection = not answer.status or "Content-Length" in answer.headers  # more than there is
        if not answer.status:
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in ({"Content-Length": str(len(body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Silent."""
