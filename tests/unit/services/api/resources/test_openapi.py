import re
from pathlib import Path

import pytest

from services.api.app import routes
from services.api.resources.openapi import load_document
from shared.identity import parse_executors

METHODS = {"get", "post", "put", "delete"}
ENDLESS = "/api/v1/query/events"
NOT_DESCRIBED = {
    "/",
    "/chart/{}",
    "/dashboard/{}",
    "/dashboard/p/{}",
    "/login",
    "/logout",
    "/docs",
    "/static/{}",
    "/metrics",
    "/ops",
    "/sql",
}
MORE = {"queue": "vitrine_render_v1", "letter": "a", "client_id": "c"}


def _plain(template: str) -> str:
    return re.sub(r"{[^}]*}", "{}", template).rstrip("/") or "/"


def test_the_document_and_the_routes_name_the_same_paths_and_methods(make_services):
    described = {
        (_plain(path), method) for path, item in load_document()["paths"].items() for method in METHODS & set(item)
    }
    served = {
        (_plain(template), method)
        for template, resource, _ in routes(make_services())
        for method in METHODS
        if hasattr(resource, f"on_{method}")
    }
    assert {entry for entry in served if entry[0] not in NOT_DESCRIBED} == described


def _operations():
    for path, item in load_document()["paths"].items():
        for method in METHODS & set(item) if path != ENDLESS else ():
            yield path, method, item[method]["responses"].keys()


@pytest.mark.parametrize("username", ["", "guy", "ben", "ada"])
@pytest.mark.parametrize("body", [{}, {"forse": 1}, {"x": "y" * 2**21}])
async def test_every_answer_is_described(gateway, username, body):
    """Of nobody, of somebody who may see nothing, of one who may; to what is well and badly asked."""
    for path, method, described in _operations():
        for values in ({"id": 1, "digest": "d" * 32}, {"id": 999, "digest": "😀"}):
            filled = path.format(**values, cache_key="k" * 64, database="shop", name="mornings", **MORE)
            answer = await gateway.ask(method.upper(), filled, username, json=body if method == "post" else None)
            assert str(answer.status_code) in described, (method, filled)
            assert answer.status_code != 503 or answer.headers["Retry-After"]


@pytest.mark.parametrize("gateway", [{"thumbnail_executors": parse_executors("CREATOR")}], indirect=True)
async def test_every_answer_without_an_executor_is_described(gateway):
    for path, method, described in _operations():
        filled = path.format(id=1, digest="d" * 32, cache_key="k" * 64, database="shop", name="mornings", **MORE)
        answer = await gateway.ask(method.upper(), filled, json={} if method == "post" else None)
        assert str(answer.status_code) in described, (method, filled)


async def test_every_answer_to_a_cookie_alone_is_described(gateway):
    for path, method, described in _operations():
        filled = path.format(id=1, digest="d" * 32, cache_key="k" * 64, database="shop", name="mornings", **MORE)
        answer = await gateway.ask(method.upper(), filled, "", headers=gateway.cookie("ben"))
        assert str(answer.status_code) in described, (method, filled)


async def test_every_answer_without_a_database_is_described_and_says_when_to_ask_again(gateway):
    gateway.services.engine.dispose()
    Path(gateway.services.engine.url.database).write_bytes(b"no database at all, " * 100)
    for path, method, described in _operations():
        filled = path.format(id=1, digest="d" * 32, cache_key="k" * 64, database="shop", name="mornings", **MORE)
        answer = await gateway.ask(method.upper(), filled, json={} if method == "post" else None)
        assert str(answer.status_code) in described, (method, filled)
        assert answer.status_code != 503 or path == "/readyz" or answer.headers["Retry-After"], filled


def test_every_reference_in_the_document_leads_somewhere():
    document = load_document()
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
        found = document
        for part in reference.split("/"):
            found = found[part]
        assert found


@pytest.mark.parametrize("path", ["/api/v1/_openapi", "/docs/"])
async def test_document_and_page_are_open_to_anyone(gateway, path):
    answer = await gateway.get(path, "")
    assert answer.status_code == 200
    assert "_openapi" in answer.text


async def test_only_the_api_page_allows_inline_styles(gateway):
    docs = (await gateway.get("/docs/", "")).headers["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in docs
    assert "script-src 'self';" in docs
    assert "unsafe-inline" not in (await gateway.get("/login/", "")).headers["Content-Security-Policy"]
