from __future__ import annotations

import pytest

from services.renderer.egress import Egress, origin_of, pair_of, parse_pair, resolver_rules
from shared.errors import InvalidInput

EGRESS = Egress({"charts.example.org:443", "127.0.0.1:8088", "[::1]:8088"})


@pytest.mark.parametrize(
    ("pair", "host", "port"),
    [
        ("charts.example.org:443", "charts.example.org", 443),
        (" Charts.Example.ORG.:443", "charts.example.org", 443),
        ("[::1]:8088", "::1", 8088),
        ("127.0.0.1:1", "127.0.0.1", 1),
    ],
)
def test_a_pair_is_read(pair: str, host: str, port: int) -> None:
    assert parse_pair(pair) == (host, port)


@pytest.mark.parametrize(
    "pair", ["", "host", "host:", ":80", "host:0", "host:65536", "host:80x", "a b:80", "*:80", "a,MAP * b:80"]
)
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        parse_pair(pair)


@pytest.mark.parametrize(
    ("url", "pair"),
    [
        ("http://a/", "a:80"),
        ("https://A./x", "a:443"),
        ("ws://a:81", "a:81"),
        ("wss://a", "a:443"),
        ("http://[::1]:8088/", "[::1]:8088"),
        ("http://user:word@a:82/", "a:82"),
        ("file:///etc/passwd", None),
        ("data:text/html,x", None),
        ("http://a:99999/", None),
    ],
)
def test_the_pair_of_a_url(url: str, pair: str | None) -> None:
    assert pair_of(url) == pair


@pytest.mark.parametrize(
    "url",
    [
        "https://charts.example.org/a",
        "wss://charts.example.org",
        "http://127.0.0.1:8088/",
        "http://[::1]:8088/",
        "data:,x",
        "about:blank",
    ],
)
def test_what_is_on_the_list_is_allowed(url: str) -> None:
    assert EGRESS.allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://charts.example.org/",
        "https://charts.example.org:444/",
        "https://charts.example.org.evil.example/",
        "https://evil.example/charts.example.org:443",
        "http://charts.example.org:443@evil.example/",
        "http://localhost:8088/",
        "http://127.0.0.1:8089/",
        "file:///etc/passwd",
        "chrome://version",
        "javascript:alert(1)",
        "",
    ],
)
def test_what_is_not_on_the_list_is_refused(url: str) -> None:
    assert not EGRESS.allowed(url)
    assert not EGRESS.navigable(url)


@pytest.mark.parametrize(
    "url", ["data:text/html,x", "about:blank", "blob:http://127.0.0.1:8088/1", "ws://127.0.0.1:8088/"]
)
def test_only_http_pages_can_be_navigated_to(url: str) -> None:
    assert not EGRESS.navigable(url)


def test_the_rules_let_the_pairs_through_and_nothing_else() -> None:
    rules = resolver_rules({"charts.example.org:443": "10.0.0.7", "[::1]:8088": "::1", "later.example:80": ""})
    assert rules == (
        "MAP [::1]:8088 [::1]:8088, MAP charts.example.org:443 10.0.0.7:443, MAP later.example:80 later.example:80, "
        "MAP * ~NOTFOUND"
    )


def test_no_pairs_let_nothing_through() -> None:
    assert resolver_rules({}) == "MAP * ~NOTFOUND"


def test_an_origin_always_names_its_port() -> None:
    assert origin_of("https://a/b?c") == "https://a:443" == origin_of("https://a:443")
    assert origin_of("about:blank") == ""
