"""deploy/nginx.conf, in a real nginx: what is sent to another gateway when one goes away, and what is not."""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.harness import free_port, release_port
from tests.harness.ports import accepts
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

CONFIGURATION = Path("deploy/nginx.conf")
REPEATED = (
    "/api/v1/chart/3/thumbnail/",
    "/api/v1/dashboard/3/cache_dashboard_screenshot/",
    "/api/v1/events/data-changed",
    "/api/v1/chart/data",
    "/api/v1/security/login",
)
ONCE = ("/api/v1/sqllab/execute/", "/api/v1/warmup/runs", "/api/v1/chart/3/thumbnails", "/")


class Front(Server):
    """The first gateway is always asked first, the second only when the first went away."""

    name = "nginx"

    def __init__(self, first: int, second: int) -> None:
        program = find_program("nginx", package="nginx-light")
        super().__init__()
        gateways = f"upstream gateways {{ server 127.0.0.1:{first} max_fails=0; server 127.0.0.1:{second} backup; }}"
        text = CONFIGURATION.read_text()
        for pattern, new in (
            (r"resolver 127\.0\.0\.11 [^;]+;", gateways),
            (r"(?<=set \$gateway )api:8088;", "gateways;"),
            (r"listen 8080;", f"listen 127.0.0.1:{self.port};"),
            (r"/tmp/", f"{self.folder}/"),  # in nginx.conf
        ):
            text, count = re.subn(pattern, new, text)
            assert count, pattern
        written = self.folder / "nginx.conf"
        written.write_text("daemon off;\n" + text)
        self.processes = [ManagedProcess([program, "-c", written], folder=self.folder, name=self.name)]
        self.url = f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        return accepts(self.port)


class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def well() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def dying() -> Iterator[int]:
    """The port of a gateway that takes every request and goes away before it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)

        threading.Thread(target=take, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def front(dying: int, well: int) -> Iterator[Front]:
    with Front(dying, well) as nginx:
        yield nginx


@pytest.mark.parametrize("path", REPEATED)
def test_what_may_be_asked_twice_is_handed_on_when_a_gateway_dies(front: Front, path: str) -> None:
    assert httpx.post(front.url + path, json={}).status_code == 200


@pytest.mark.parametrize("path", ONCE)
def test_a_request_that_may_have_begun_to_change_something_is_not_sent_twice(front: Front, path: str) -> None:
    assert httpx.post(front.url + path, json={}).status_code == 502
    assert httpx.get(front.url + path).status_code == 200


def test_what_a_gateway_did_not_take_is_handed_on_whatever_it_is(well: int) -> None:
    nobody = free_port()
    with Front(nobody, well) as nginx:
        assert httpx.post(nginx.url + ONCE[0], json={}).status_code == 200
    release_port(nobody)


@pytest.mark.parametrize("path", [REPEATED[0], ONCE[0]])
def test_a_gateway_whose_address_is_silent_is_passed_over(well: int, path: str) -> None:
    """Its container was removed a moment ago: nobody refuses the connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as queue:
        for _ in range(2):  # the kernel answers nobody once this many wait to be accepted
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        with Front(silent.getsockname()[1], well) as nginx:
            assert httpx.post(nginx.url + path, json={}, timeout=20).status_code == 200
