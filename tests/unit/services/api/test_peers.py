"""Whose word counts about who asks, and who is near enough to read /metrics."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, cast

import pytest
from falcon import testing
from falcon.asgi import Request

from services.api.peers import client_address, is_near

FRONT = (ip_network("10.208.0.0/24"), ip_network("fd00::/64"))


def request(peer: str | None, **headers: str) -> Request:
    made = testing.create_asgi_req(headers={"X-Forwarded-For": headers["seen"]} if headers else {})
    cast(Any, made.scope)["client"] = [peer, 4711] if peer else None
    return made


@pytest.mark.parametrize(
    ("peer", "seen", "address"),
    [
        ("127.0.0.1", "192.0.2.1, 192.0.2.7", "192.0.2.7"),  # the last: what stands before it, the client wrote
        ("10.208.0.5", "192.0.2.7", "192.0.2.7"),
        ("::ffff:10.208.0.5", "192.0.2.7", "192.0.2.7"),
        ("fd00::5", "192.0.2.7", "192.0.2.7"),
        (None, "192.0.2.7", "192.0.2.7"),
        ("10.209.0.5", "192.0.2.7", "10.209.0.5"),
        ("10.208.0.5", None, "10.208.0.5"),
    ],
)
def test_only_a_trusted_proxy_may_say_who_asks(peer: str | None, seen: str | None, address: str) -> None:
    asked = request(peer, seen=seen) if seen else request(peer)
    assert client_address(asked, FRONT) == address


@pytest.mark.parametrize(("peer", "near"), [("127.0.0.1", True), ("10.208.0.9", True), ("10.209.0.9", False)])
def test_the_networks_of_the_settings_are_near_unless_a_proxy_asks(peer: str, near: bool) -> None:
    assert is_near(request(peer), FRONT) is near
    assert not is_near(request(peer, seen="192.0.2.7"), FRONT)


def test_a_peer_without_an_address_is_a_proxy_and_never_near() -> None:
    assert not is_near(request(None), FRONT)
    assert not is_near(request("unix:"), FRONT)
