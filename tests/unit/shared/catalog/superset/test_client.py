"""What the answers of a Superset mean, and which of them speak against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.catalog.superset import client as module
from shared.catalog.superset.circuit import Circuit
from shared.catalog.superset.client import Client, Credential
from shared.errors import CatalogUnavailable, Forbidden, NotFound, QueryTimedOut

WHO = Credential(cookie="of-ann")
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def make_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Any]:
    """`make_client(answer)`: a client, and the requests that it sent. Its circuit opens after three failures."""
    monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(module, "MISSED_S", (0.0, 0.0))

    def make(answer: Answer) -> tuple[Client, Circuit, list[httpx.Request]]:
        sent: list[httpx.Request] = []

        def note(request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return answer(request)

        circuit = Circuit("testing", failures=3)
        client = Client("http://superset.example", cookie_name="session", timeout_s=20, circuit=circuit)
        client._http = httpx.Client(base_url=client.origin, transport=httpx.MockTransport(note))
        return client, circuit, sent

    return make


def raising(error: type[httpx.HTTPError]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("as told")

    return answer


def status(code: int) -> Answer:
    return lambda _: httpx.Response(code, json={"message": "as told"})


def test_an_outage_is_tried_again_and_opens_the_circuit(make_client):
    client, circuit, sent = make_client(status(500))
    with pytest.raises(CatalogUnavailable, match="500"):
        client.get("/api/v1/me/", WHO)
    assert (len(sent), circuit.is_closed) == (3, False)


def test_a_read_that_succeeds_at_the_second_try_is_no_failure(make_client):
    answers = iter([httpx.Response(502), httpx.Response(200, json={"result": 1})])
    client, circuit, sent = make_client(lambda _: next(answers))
    assert client.get("/api/v1/me/", WHO) == {"result": 1}
    assert (len(sent), circuit.is_closed) == (2, True)


def test_a_500_that_means_no_is_asked_once_and_no_outage(make_client):
    client, circuit, sent = make_client(status(500))
    for _ in range(4):
        with pytest.raises(NotFound):
            client.once("/api/v1/dashboard/permalink/x", WHO, says_no={500})
    assert (len(sent), circuit.is_closed) == (4, True)
    client, _, _ = make_client(status(503))
    with pytest.raises(CatalogUnavailable):
        client.once("/api/v1/dashboard/permalink/x", WHO, says_no={500})


def test_a_chart_over_which_superset_stumbles_is_no_outage(make_client):
    client, circuit, sent = make_client(status(500))
    for _ in range(4):
        with pytest.raises(CatalogUnavailable, match="500"):
            client.once("/api/v1/chart/1/data/", WHO, query_s=120)
    assert (len(sent), circuit.is_closed) == (4, True)


def test_our_own_full_pool_is_no_outage_and_not_waited_for_again(make_client):
    client, circuit, sent = make_client(raising(httpx.PoolTimeout))
    for _ in range(4):
        with pytest.raises(CatalogUnavailable, match="All 8 connections to Superset were busy for 20 s"):
            client.get("/api/v1/me/", WHO)
    assert (len(sent), circuit.is_closed) == (4, True)


def test_slow_queries_have_their_own_time_and_are_no_outage(make_client):
    client, circuit, sent = make_client(raising(httpx.ReadTimeout))
    for _ in range(4):
        with pytest.raises(QueryTimedOut, match="no rows after 120 s"):
            client.once("/api/v1/chart/1/data/", WHO, query_s=120)
    assert (len(sent), circuit.is_closed) == (4, True)
    assert sent[0].extensions["timeout"] == {"connect": 5.0, "read": 120, "write": 20, "pool": 20}
    with pytest.raises(CatalogUnavailable, match="did not answer in time"):
        client.get("/api/v1/me/", WHO)


def test_a_put_without_the_right_names_it(make_client):
    client, _, _ = make_client(
        lambda request: (
            httpx.Response(403, json={"message": "Forbidden"})
            if request.method == "PUT"
            else httpx.Response(200, json={"result": "token"})
        )
    )
    with pytest.raises(Forbidden, match="lacks the right 'can warm up cache on Chart'"):
        client.put("/api/v1/chart/warm_up_cache", WHO, {}, right="can warm up cache on Chart", query_s=120)


def test_a_row_that_superset_mixes_up_with_another_is_looked_for_again(make_client):
    """Its threads share the filters of a list: seen as 1 of some 60 cards that were there and answered 404."""
    lists = iter([[], [{"id": 97}], [{"id": 96, "slice_name": "Genders"}]])
    client, _, sent = make_client(lambda _: httpx.Response(200, json={"result": next(lists)}))
    found = client.find("/api/v1/chart/", WHO, "id", 96, columns=["id", "slice_name"])
    assert (found, len(sent)) == ({"id": 96, "slice_name": "Genders"}, 3)


def test_a_row_that_stays_away_is_not_there(make_client):
    client, _, sent = make_client(lambda _: httpx.Response(200, json={"result": [{"id": 97}]}))
    assert (client.find("/api/v1/chart/", WHO, "id", 96), len(sent)) == (None, 3)
