"""Our connections to Superset, against a server that counts them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.catalog.superset.client import CONNECTIONS, Client, Credential
from tests.harness import wait_until

ASKERS = 2 * CONNECTIONS + 4


class Counting(ThreadingHTTPServer):
    """Answers when it may; `at_once`: the most requests that it ever held."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Held)
        self.may_answer = threading.Event()
        self.lock = threading.Lock()
        self.held = self.at_once = self.answered = 0


class Held(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.held += 1
            self.server.at_once = max(self.server.at_once, self.server.held)
        self.server.may_answer.wait(30)
        with self.server.lock:
            self.server.held -= 1
            self.server.answered += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_a_process_asks_so_many_things_at_once_and_the_rest_waits() -> None:
    server = Counting()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{server.server_port}"
    with closing(Client(origin, cookie_name="session", timeout_s=30)) as client, ThreadPoolExecutor(ASKERS) as askers:
        asked = [askers.submit(client.get, "/api/v1/me/", Credential()) for _ in range(ASKERS)]
        wait_until(lambda: server.held == CONNECTIONS, 10, "as many requests as there may be")
        server.may_answer.set()
        assert [one.result(30) for one in asked] == [{}] * ASKERS
    assert (server.at_once, server.answered) == (CONNECTIONS, ASKERS)
    server.shutdown()
    server.server_close()
