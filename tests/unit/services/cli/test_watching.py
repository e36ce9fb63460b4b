"""What `vitrine doctor` finds out about whatever tells of a running Vitrine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from services.cli.checks import watching
from services.cli.checks.finding import Finding, Verdict
from shared.heartbeats import Heart
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Heartbeat
from shared.settings import Settings
from tests.samples.catalog import SECRET

OK, WARN, _ = Verdict
QUEUES = b'[{"name": "vitrine_render_v1", "messages_unacknowledged": 2}]'


class Answering(http.server.BaseHTTPRequestHandler):
    """A management API at /api/queues, a collector at /v1/traces; to /closed… it says 401."""

    def do_GET(self) -> None:
        self._answer(401 if self.path.startswith("/closed") else 200, QUEUES)

    def do_POST(self) -> None:
        self._answer(200 if self.path == "/v1/traces" else 404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def settings(**changes: object) -> Settings:
    broker = "amqp://vitrine:hunter2@127.0.0.1/vitrine"
    return Settings(**({"secret_key": SECRET, "broker_url": broker} | changes))  # type: ignore[arg-type]


def test_a_management_api_that_tells_of_the_queues_is_well(url: str) -> None:
    (finding,) = watching.management(settings(broker_management_url=url))
    assert (finding.verdict, "1 queues" in finding.found) == (OK, True)


@pytest.mark.parametrize(("place", "words"), [("/closed", "answers 401"), (":1", "is of no use")])
def test_one_that_refuses_or_is_not_there_is_a_warning_without_the_password(url: str, place: str, words: str) -> None:
    there = url + place if place[0] == "/" else "http://127.0.0.1:1"
    (finding,) = watching.management(settings(broker_management_url=there))
    assert (finding.verdict, words in finding.found) == (WARN, True)
    assert "set_user_tags" in finding.mend
    assert "hunter2" not in finding.found


def test_a_collector_that_takes_an_export_is_well_and_another_answer_or_none_a_warning(url: str) -> None:
    (well,) = watching.traces(settings(otlp_endpoint=url))
    (other,) = watching.traces(settings(otlp_endpoint=f"{url}/elsewhere"))
    (none,) = watching.traces(settings(otlp_endpoint="http://127.0.0.1:1"))
    assert [one.verdict for one in (well, other, none)] == [OK, WARN, WARN]
    assert "answers 404" in other.found
    assert "VITRINE_OTLP_ENDPOINT" in none.mend


def test_what_is_not_set_is_not_looked_at() -> None:
    assert list(watching.management(settings())) == list(watching.traces(settings())) == []


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[..., list[Finding]]]:
    """What the check finds after a renderer beat once and its row was changed so."""
    here = settings(metadata_url=f"sqlite:///{tmp_path / 'm.sqlite'}")
    engine = open_metadata(here)
    upgrade(engine)

    def look(**changes: object) -> list[Finding]:
        Heart(sessions(engine), "renderer")._beat({})
        with sessions(engine).begin() as session:
            session.execute(update(Heartbeat).values(pid=7, **changes))
        return list(watching.processes(here))

    yield look
    engine.dispose()


def test_processes_that_beat_are_counted(found: Callable[..., list[Finding]]) -> None:
    (finding,) = found()
    assert (finding.verdict, finding.found) == (OK, "1 renderer")


def test_one_that_is_silent_and_one_of_another_version_are_named(found: Callable[..., list[Finding]]) -> None:
    (silent,) = found(seen_at=Heartbeat.seen_at - 45)
    assert (silent.name, silent.verdict) == ("process:renderer", WARN)
    assert "heard 45 s ago" in silent.found
    _, old = found(version="0.0.1")
    assert (old.name, old.verdict) == ("process:renderer", WARN)
    assert "version 0.0.1" in old.found
