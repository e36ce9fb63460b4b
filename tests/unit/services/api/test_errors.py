from http import HTTPStatus
from typing import Any

import pytest

from services.api.errors import status_of
from shared import errors


def _leaves(cls):
    return [leaf for sub in cls.__subclasses__() for leaf in (_leaves(sub) if sub.__subclasses__() else [sub])]


@pytest.mark.parametrize("cls", _leaves(errors.VitrineError), ids=lambda cls: cls.code)
def test_every_error_has_a_status_and_transient_ones_are_not_blamed_on_the_caller(cls):
    extra: dict[str, dict[str, Any]] = {
        "too_many_requests": {"retry_after_s": 1},
        "result_too_large": {"over_bytes": 1},
        "query_too_costly": {"cost": 2.0, "max_cost": 1.0},
    }
    status = status_of(cls("why", **extra.get(cls.code, {})))
    assert 400 <= status < 600
    if cls.transient and cls is not errors.TooManyRequests:
        assert status >= 500


def test_what_may_not_be_seen_is_not_found():
    assert status_of(errors.NotFound("x")) is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nope", 404, "not_found"),
        ("GET", "/nope", 404, "not_found"),
        ("DELETE", "/api/v1/chart/1", 405, "invalid_input"),
        ("POST", "/api/v1/chart/", 405, "invalid_input"),
        ("BREW", "/healthz", 400, "invalid_input"),
    ],
)
async def test_what_has_no_route_is_problem_json_too(gateway, method, path, status, code):
    answer = await gateway.ask(method, path)
    assert (answer.status_code, answer.json["code"], answer.json["status"]) == (status, code, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    if status == 405:
        assert "GET" in answer.headers["Allow"]


async def test_head_of_what_is_not_there_has_no_body(gateway):
    answer = await gateway.ask("HEAD", "/nope")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_a_fault_of_ours_is_500_and_tells_nothing_but_the_correlation_id(gateway, monkeypatch):
    def broken(principal, target):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(gateway.services.catalog, "info", broken)
    answer = await gateway.get("/api/v1/chart/1", headers={"X-Correlation-ID": "abc"})
    assert (answer.status_code, answer.json["code"], answer.json["correlation_id"]) == (500, "internal", "abc")
    assert "secret" not in answer.text


async def test_every_answer_carries_the_security_headers_and_a_correlation_id(gateway):
    for path in ("/healthz", "/nope", "/api/v1/me/", "/login/", "/static/css/base.css", "/dashboard/1/"):
        for username in ("", "ben"):
            headers = (await gateway.get(path, username)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
            assert headers["X-Correlation-ID"]


@pytest.mark.parametrize("sent", ["x" * 65, "a b", "a\r\nX: y", "é", ""])
async def test_a_correlation_id_that_is_no_plain_word_is_replaced(gateway, sent):
    answer = await gateway.get("/healthz", "", headers={"X-Correlation-ID": sent})
    assert len(answer.headers["X-Correlation-ID"]) == 32


async def test_too_large_a_body_is_413(gateway):
    for path in ("/api/v1/security/login", "/login/", "/api/v1/chart/1/thumbnail/"):
        answer = await gateway.post(path, body=b" " * (1024 * 1024 + 1))
        assert (answer.status_code, answer.json["code"]) == (413, "invalid_input"), path
