"""A page's own headers go to its own origin only, hop by hop."""

from services.renderer.headers import headers_of
from shared.catalog.port import Page, Readiness

RULE = Readiness(root="body", holder="body", terminal="*", failed=":not(*)")
SPEC = Page("https://grafana.example/d/1", RULE, headers={"Authorization": "Bearer secret"})


def test_the_page_s_own_origin_gets_them_in_place_of_any_that_were_there():
    sent = {"Accept": "text/html", "authorization": "Basic of-the-browser"}
    for url in ("https://grafana.example/d/1", "https://grafana.example:443/api"):
        assert headers_of(SPEC, url, sent) == [("Accept", "text/html"), ("Authorization", "Bearer secret")]


def test_another_origin_gets_none_not_even_those_that_a_redirect_took_along():
    sent = {"Accept": "text/html", "authorization": "Bearer secret"}
    for url in (
        "http://grafana.example/",
        "https://grafana.example:8443/",
        "https://cdn.example/",
        "ws://x/",
        "data:,",
    ):
        assert headers_of(SPEC, url, sent) == [("Accept", "text/html")], url
