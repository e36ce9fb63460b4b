"""The addresses of Superset's standalone pages."""

from urllib.parse import SplitResult, parse_qs, urlsplit

from shared.catalog.superset import pages
from shared.catalog.superset.client import Client, Credential
from shared.targets import Target, TargetKind, ViewState


def address_of(view_state: ViewState) -> SplitResult:
    client = Client("http://superset.example", cookie_name="session", timeout_s=1)
    target = Target("superset", TargetKind.DASHBOARD, "1")
    return urlsplit(pages.page(client, Credential("x"), target, view_state, nonce="n", hosts=()).url)


def query_of(view_state: ViewState) -> dict[str, list[str]]:
    return parse_qs(address_of(view_state).query)


def test_url_params_are_handed_on():
    assert query_of(ViewState.of(None, None, None, [["preselect", "1"]]))["preselect"] == ["1"]


def test_url_params_do_not_say_what_the_render_says():
    """Else they could show another state, the page's frame, or a view that counts as a person's."""
    names = ["permalink_key", "standalone", "vitrine_render"]
    asked = query_of(ViewState.of(None, None, None, [[name, "mine"] for name in names]))
    assert [asked[name] for name in names] == [["vitrine"], ["3"], ["n"]]


def test_an_anchor_is_where_superset_looks_for_it():
    assert address_of(ViewState.of(anchor="TAB-1")).fragment == "TAB-1"
    address = address_of(ViewState.of(anchor="#x y?standalone=1"))
    assert (address.fragment, parse_qs(address.query)["standalone"]) == ("%23x%20y%3Fstandalone%3D1", ["3"])
