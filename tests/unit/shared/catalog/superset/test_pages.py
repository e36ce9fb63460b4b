"""The addresses of Superset's standalone pages."""

from urllib.parse import parse_qs, urlsplit

from shared.catalog.superset import pages
from shared.catalog.superset.client import Client, Credential
from shared.targets import Target, TargetKind, ViewState


def query_of(view_state: ViewState) -> dict[str, list[str]]:
    client = Client("http://superset.example", cookie_name="session", timeout_s=1)
    target = Target("superset", TargetKind.DASHBOARD, "1")
    return parse_qs(urlsplit(pages.page(client, Credential("x"), target, view_state, nonce="n", hosts=()).url).query)


def test_url_params_are_handed_on():
    assert query_of(ViewState.of(None, None, None, [["preselect", "1"]]))["preselect"] == ["1"]


def test_url_params_do_not_say_what_the_render_says():
    """Else they could show another state, the page's frame, or a view that counts as a person's."""
    names = ["permalink_key", "standalone", "vitrine_render"]
    asked = query_of(ViewState.of(None, None, None, [[name, "mine"] for name in names]))
    assert [asked[name] for name in names] == [["vitrine"], ["3"], ["n"]]
