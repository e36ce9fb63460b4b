"""What the catalog makes of Superset's answers, without a Superset."""

from __future__ import annotations

import httpx
import pytest

from shared.catalog.superset.catalog import SupersetCatalog
from shared.catalog.superset.client import Credential
from shared.errors import NotFound, Unauthenticated
from shared.identity import Principal
from shared.settings import Settings
from shared.targets import Target, TargetKind

TARGET = Target("superset", TargetKind.DASHBOARD, "3")
ANN = Principal("ann", catalog="superset", credential=Credential(bearer="of-ann"))


@pytest.fixture
def answering():
    """`answering(httpx.Response(…))`: a catalog whose Superset gives this answer to everything."""

    def make(answer: httpx.Response) -> SupersetCatalog:
        settings = Settings(
            secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788",
            superset_url="http://superset.example",
            superset_username="vitrine",
            superset_passwords={"vitrine": "x"},
        )
        catalog = SupersetCatalog(settings)
        transport = httpx.MockTransport(lambda _: answer)
        catalog._client._http = httpx.Client(base_url=catalog._client.origin, transport=transport)
        return catalog

    return make


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(302, headers={"Location": "/login/"})])
def test_a_log_in_that_ended_meanwhile_is_not_told_as_a_target_that_is_gone(answering, answer):
    with pytest.raises(Unauthenticated, match="log in again"):
        answering(answer).info(ANN, TARGET)


@pytest.mark.parametrize("answer", [httpx.Response(403), httpx.Response(200, json={"count": 0, "result": []})])
def test_what_superset_does_not_show_is_not_found(answering, answer):
    with pytest.raises(NotFound):
        answering(answer).info(ANN, TARGET)
