"""A file of pages: what it may say, who sees them, and what a render is told."""

from pathlib import Path
from typing import Any

import pytest

from shared.catalog import hosts_of
from shared.catalog.pages.catalog import PagesCatalog
from shared.errors import InvalidInput, NotFound
from shared.identity import OPERATOR, Principal
from shared.settings import Settings
from shared.targets import Size, Target, TargetKind, ViewState

GOOD = """\
pages:
  - id: queue
    title: The queue
    url: http://flower.example:5555/workers?range={range}
    parameters: {range: 1h}
    ready: "#workers-table"
    expression: window.ready === true
    window: 1200x800
    tags: [ops]
    sign_in: {bearer: "${TOKEN}", cookies: {a: "b-${TOKEN}"}}
  - id: bosses
    title: For bosses
    url: https://status.example/
    roles: [boss]
    hosts: [cdn.example:443]
"""
QUEUE, BOSSES = Target("pages", TargetKind.DASHBOARD, "queue"), Target("pages", TargetKind.DASHBOARD, "bosses")
ANN, BOSS = Principal("ann"), Principal("bo", frozenset({"boss"}))


@pytest.fixture
def open_pages(tmp_path: Path) -> Any:
    def open_(text: str) -> PagesCatalog:
        file = tmp_path / "pages.yaml"
        file.write_text(text)
        values: dict[str, Any] = {"secret_key": "f3b1c9d27a8e4650b1c2d3e4f5a69788", "pages_file": file}
        return PagesCatalog(Settings(**values, pages_secrets={"TOKEN": "s3cret"}))

    return open_


def test_a_page_is_opened_with_its_parameters_and_its_own_sign_in(open_pages):
    page = open_pages(GOOD).page(QUEUE, "reader", ViewState.of(None, None, None, [["range", "2 h&x"]]), nonce="n")
    assert page.url == "http://flower.example:5555/workers?range=2%20h%26x"
    assert (page.headers, page.cookies) == ({"Authorization": "Bearer s3cret"}, {"a": "b-s3cret"})
    assert (page.readiness.root, page.readiness.expression) == ("#workers-table", "window.ready === true")
    assert page.hosts == {"flower.example:5555"}


def test_each_page_is_an_identity_of_its_own(open_pages):
    """One executor draws them all: a context by executor would show one page with the session of another."""
    catalog = open_pages(GOOD)
    assert [catalog.page(one, "reader", ViewState(), nonce="n").identity for one in (QUEUE, BOSSES)] == [
        "queue",
        "bosses",
    ]


def test_roles_decide_who_sees_a_page(open_pages):
    catalog = open_pages(GOOD)
    assert [info.title for info in catalog.list(ANN, TargetKind.DASHBOARD)[1]] == ["The queue"]
    assert catalog.list(BOSS, TargetKind.DASHBOARD)[0] == catalog.list(OPERATOR, TargetKind.DASHBOARD)[0] == 2
    assert catalog.list(Principal(""), TargetKind.DASHBOARD) == (0, [])
    for target in (BOSSES, Target("pages", TargetKind.CHART, "queue"), Target("native", TargetKind.DASHBOARD, "queue")):
        with pytest.raises(NotFound, match="There is no such"):
            catalog.info(ANN, target)


def test_hosts_window_and_executor_come_from_the_file(open_pages):
    catalog = open_pages(GOOD)
    settings = Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", egress_hosts=("tiles.example:443",))
    listed = {"flower.example:5555", "status.example:443", "cdn.example:443", "tiles.example:443"}
    assert hosts_of(settings, {"pages": catalog}) == listed
    assert catalog.facts(QUEUE, "reader").window == Size(1200, 800)
    assert [str(rule) for rule in catalog.executors] == ["FIXED:reader"]


def test_secrets_are_in_no_digest(open_pages):
    assert open_pages(GOOD).facts(QUEUE, "x") == open_pages(GOOD.replace("b-${TOKEN}", "c")).facts(QUEUE, "x")
    assert open_pages(GOOD).facts(QUEUE, "x") != open_pages(GOOD.replace("1h}", "2h}")).facts(QUEUE, "x")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("${TOKEN}", "${OTHER}", r"pages.yaml:10: pages\[0\].sign_in: there is no secret 'OTHER'"),
        ("id: bosses", "id: queue", r"pages.yaml:11: pages\[1\].id: 'queue' is taken"),
        ("id: queue", "id: Queue!", r"pages\[0\].id: String should match pattern"),
        ("http://flower.example:5555", "ftp://flower.example", "begin with http"),
        ("flower.example:5555/", "{range}.example/", "must not stand in the host"),
        ("{range: 1h}", "{other: 1h}", "names {range}, which has no default"),
        ("ready:", "raedy:", r"pages.yaml:6: pages\[0\].raedy: Extra inputs"),
        ("window: 1200x800", "window: big", r"pages\[0\].window"),
        ("pages:", "page:", "a pages file has one list, `pages`"),
        ('bearer: "${TOKEN}"', "form: {url: 'https://evil.example/', fields: {u: x}}", "same origin"),
        ("- id: queue", "- id: [", "is no valid YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_field(open_pages, old, new, words):
    assert old in GOOD
    with pytest.raises(InvalidInput, match=words):
        open_pages(GOOD.replace(old, new))
