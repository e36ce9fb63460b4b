"""What of a page's requests reaches its server, and what the browser answers by itself."""

import pytest

from services.renderer.guard import WRITTEN, answer_to
from shared.catalog.port import Page, Readiness

RULE = Readiness(root="#root", holder=".chart", terminal=".done", failed=".bad")
STATE = {"state": {"activeTabs": ["TAB-1"]}}
PAGE = Page("http://bi:80/dashboard/1/?x=1", RULE, reads=frozenset({"/data"}), answers={"/permalink/v": STATE})


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reads_go_through(method):
    assert answer_to(PAGE, method, "http://bi/api/anything?q=1") is None


def test_a_post_goes_through_only_where_it_reads():
    assert answer_to(PAGE, "POST", "http://bi/data?form=1") is None
    assert answer_to(PAGE, "POST", "http://bi/data/more") == WRITTEN


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_a_write_is_answered_in_the_browser(method):
    assert answer_to(PAGE, method, "http://bi/api/v1/chart/1") == WRITTEN


def test_what_the_page_brings_along_is_answered_in_the_browser():
    assert answer_to(PAGE, "GET", "http://bi/permalink/v") == STATE
    assert answer_to(PAGE, "GET", "http://elsewhere/permalink/v") is None


def test_a_page_without_a_rule_and_other_servers_are_left_alone():
    free = Page(PAGE.url, RULE)
    assert answer_to(free, "DELETE", "http://bi/api/v1/chart/1") is None
    assert answer_to(PAGE, "POST", "http://bi:8080/collect") is None
    assert answer_to(None, "POST", "http://bi/data") is None
