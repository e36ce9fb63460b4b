"""One correlation id from the request to the stored picture."""

from __future__ import annotations

import json

from tests.harness import wait_until
from tests.harness.stack import Stack

STEPS = ["queued", "leased", "signed_in", "navigated", "ready", "captured", "stored"]


def test_the_correlation_id_of_a_request_is_in_the_logs_of_both_services_and_in_the_record(stack: Stack) -> None:
    ada = stack.login("ada")
    mine = "trace-4711"
    answer = ada.ask("draft", **{"X-Correlation-ID": mine})
    assert (answer.status_code, answer.headers["X-Correlation-ID"]) == (202, mine)
    ada.picture("draft")
    record = wait_until(lambda: stack.renders("draft", "ada"), 10, "a render record")
    status, origin, correlation_id, timeline = record[0]
    assert (status, origin, correlation_id) == ("Updated", "viewer", mine)
    assert [step["step"] for step in json.loads(timeline)] == STEPS
    assert all(step["seconds"] >= 0 for step in json.loads(timeline))
    for service, event in (("gateway", "request"), ("gateway", "published"), ("renderer", "rendered")):
        lines = [line for line in stack.events(service) if line["event"] == event]
        assert any(line.get("correlation_id") == mine for line in lines), f"{service} does not log it in {event}"


def test_no_log_shows_a_password_or_a_token(stack: Stack) -> None:
    ada = stack.login("ada")
    for name in ("gateway", "renderer"):
        log = stack.processes[name].log_path.read_text()
        for secret in (ada.token, stack.environment["VITRINE_SECRET_KEY"], "an apple a day", "guest:guest@"):
            assert secret not in log


def test_each_service_serves_its_metrics_on_loopback(stack: Stack) -> None:
    hugo = stack.login("hugo")
    hugo.picture("total")
    gateway = hugo.get("/metrics").text
    renderer = hugo.get(f"http://127.0.0.1:{stack.metrics_ports['renderer']}/metrics").text
    for name, text in (("vitrine_http_requests_total", gateway), ("vitrine_renders_total", renderer)):
        assert any(line.startswith(name) and not line.endswith(" 0.0") for line in text.splitlines()), name
