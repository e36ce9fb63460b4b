"""The gateway under gunicorn, with a real RabbitMQ and a real Memcached."""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx
import pytest

from shared.queue import RENDER_QUEUE
from tests.harness import wait_until
from tests.samples.shop import PASSWORD

ROOT = Path(__file__).parents[4]
BODY = b"\x89PNG" + bytes(300_000)


@pytest.fixture
def gateway(run_gateway, rabbitmq, memcached):
    return run_gateway(rabbitmq, memcached)


async def _all_at_once(gateway, url, headers, count):
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=gateway.settings.base_url, limits=limits, timeout=30) as client:
        return await asyncio.gather(*(client.get(url, headers=headers) for _ in range(count)))


async def test_a_hundred_parallel_gets_of_a_missing_thumbnail_are_one_message(gateway):
    with gateway.client() as client:
        url = gateway.thumbnail_url(client)
    answers = await _all_at_once(gateway, url, {"Authorization": client.headers["Authorization"]}, 100)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["cache_key"] for answer in answers}) == 1
    assert gateway.broker.message_count(RENDER_QUEUE) == 1


def test_a_picture_larger_than_an_item_is_served_whole_and_304_fetches_no_body(gateway, memcached):
    body = BODY * 8
    with gateway.client() as client:
        url = gateway.thumbnail_url(client)
        assert client.get(url).status_code == 202
        gateway.draw(body)
        answer = client.get(url)
        assert (answer.status_code, answer.content == body) == (200, True)
        before = int(memcached.stats()["bytes_written"])
        again = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert int(memcached.stats()["bytes_written"]) - before < 5_000


def test_a_stale_picture_is_served_and_one_refresh_is_published(gateway):
    with gateway.client() as client:
        url = gateway.thumbnail_url(client)
        client.get(url)
        gateway.draw(BODY, digest="before the edit")
        for _ in range(10):
            answer = client.get(url)
            assert (answer.status_code, answer.headers["X-Vitrine-Stale"]) == (200, "1")
        wait_until(lambda: gateway.broker.message_count(RENDER_QUEUE) == 1, 5, "one refresh")
        gateway.draw(BODY)
        assert client.get(url).headers["X-Cache"] == "HIT"


def test_without_the_broker_a_missing_picture_is_503_within_a_second_and_a_stored_one_is_served(
    run_gateway, own_rabbitmq, memcached
):
    gateway = run_gateway(own_rabbitmq, memcached)
    with gateway.client() as client:
        stored, missing = gateway.thumbnail_url(client), gateway.thumbnail_url(client, "dashboard")
        client.get(stored)
        gateway.draw(BODY, digest="stale, so that it wants the broker")
        own_rabbitmq.kill9()
        for _ in range(4):  # both workers, first and second attempts
            started = time.monotonic()
            answer = client.get(missing, headers={"Connection": "close"})
            assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")
            assert time.monotonic() - started < 1
            assert int(answer.headers["Retry-After"]) > 0
            started = time.monotonic()
            assert client.get(stored).content == BODY
            assert time.monotonic() - started < 1
        assert client.get("/readyz").json()["checks"]["broker"]["ok"] is False
        own_rabbitmq.start()
        wait_until(lambda: client.get(missing).status_code == 202, 20, "the broker is back and nothing is published")
        assert gateway.broker.message_count(RENDER_QUEUE) >= 1


def test_a_broker_that_hangs_is_503_within_a_second(run_gateway, own_rabbitmq, memcached):
    gateway = run_gateway(own_rabbitmq, memcached)
    with gateway.client() as client:
        url = gateway.thumbnail_url(client)
        own_rabbitmq.pause()
        started = time.monotonic()
        assert client.get(url).status_code == 503
        assert time.monotonic() - started < 1
        own_rabbitmq.resume()
        wait_until(lambda: client.get(url).status_code == 202, 20, "the broker is awake and nothing is published")


def test_without_the_store_it_is_503_and_it_works_again_once_it_is_back(run_gateway, rabbitmq, own_memcached):
    gateway = run_gateway(rabbitmq, own_memcached)
    with gateway.client() as client:
        url = gateway.thumbnail_url(client)
        own_memcached.kill9()
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["store"]["ok"]) == (503, False)
        assert client.get("/healthz").status_code == 200
        own_memcached.start()
        wait_until(lambda: client.get(url).status_code == 202, 20, "the store is back and nothing is published")


def test_failed_log_ins_are_limited_across_the_workers(run_gateway, rabbitmq, memcached):
    gateway = run_gateway(rabbitmq, memcached, login_attempts_per_minute=5)
    statuses = []
    for _ in range(7):
        body = {"username": "ben", "password": "wrong"}
        answer = httpx.post(f"{gateway.settings.base_url}/api/v1/security/login", json=body, timeout=10)
        statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 2
    assert int(answer.headers["Retry-After"]) > 0


def test_the_form_leads_through_the_pages_with_its_cookie(gateway):
    with httpx.Client(base_url=gateway.settings.base_url, follow_redirects=True) as client:
        assert "Sign in" in client.get("/dashboard/1/", headers={"Accept": "text/html"}).text
        form = {"username": "ben", "password": PASSWORD, "next": "/dashboard/1/"}
        answer = client.post("/login/", data=form, headers={"Origin": gateway.settings.base_url})
        assert (answer.status_code, answer.url.path) == (200, "/dashboard/1/")
        script = answer.text.split('<script src="')[1].split('"')[0]
        assert "immutable" in client.get(script).headers["Cache-Control"]


def test_metrics_are_those_of_all_workers_together(gateway):
    for _ in range(20):
        httpx.get(f"{gateway.settings.base_url}/healthz")
    line = 'vitrine_http_requests_total{method="GET",route="/healthz",status="200"}'
    text = httpx.get(f"{gateway.settings.base_url}/metrics").text
    [value] = [row.rpartition(" ")[2] for row in text.splitlines() if row.startswith(line)]
    assert float(value) >= 20


def test_a_long_data_mask_fits_into_the_query(gateway):
    values = [f"region number {number}" for number in range(900)]
    mask = httpx.QueryParams({"dashboard_id": 1, "data_mask": _mask(values)})
    with gateway.client() as client:
        answer = client.get("/api/v1/chart/1/data/", params=mask)
    assert (answer.status_code, answer.json()["result"][0]["rowcount"]) == (200, 0)


def test_on_sigterm_it_answers_what_is_in_flight_and_ends_cleanly(gateway):
    assert gateway.process.terminate() == 0
    assert gateway.process.survivors() == []


def test_a_bad_setting_stops_it_with_one_line(spawn):
    process = spawn(
        [sys.executable, "-m", "gunicorn", "-c", "services/api/gunicorn.conf.py", "services.api.wsgi:app"],
        env={"VITRINE_SECRET_KEY": "short"},
        cwd=ROOT,
    )
    assert process.wait(20) == 1
    assert process.log.strip().count("\n") == 0
    assert process.log.startswith("VITRINE_SECRET_KEY: must have at least")


def _mask(values: list[str]) -> str:
    return json.dumps({"region": {"filterState": {"value": values}}})
