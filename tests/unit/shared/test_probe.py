"""The health check of the images, against a real HTTP server."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from shared.probe import probe
from tests.harness import free_port, release_port


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(b"vitrine_browser_starts_total 1\n")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_healthy_is_200_with_the_word(url: str) -> None:
    assert probe(f"{url}/metrics") == ""
    assert probe(f"{url}/metrics", "vitrine_browser_starts_total") == ""


def test_another_status_a_missing_word_and_no_answer_are_told(url: str) -> None:
    port = free_port()
    assert probe(f"{url}/readyz") == f"{url}/readyz answers 503"
    assert probe(f"{url}/metrics", "leading") == f"{url}/metrics has no leading"
    assert "refused" in probe(f"http://127.0.0.1:{port}/")
    assert probe("file:///etc/passwd") == "file:///etc/passwd is no http URL"
    release_port(port)


def test_the_command_s_exit_code_is_what_docker_reads(url: str) -> None:
    command = [sys.executable, "-m", "shared.probe"]
    assert subprocess.run([*command, f"{url}/metrics"], check=False).returncode == 0
    done = subprocess.run([*command, f"{url}/readyz"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{url}/readyz answers 503\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
