import json
import re

import pytest

from shared.identity import Audience
from shared.metadata.models import Chart, ViewLog
from tests.harness import wait_until_async


def _page(answer):
    [definition] = re.findall(r'id="vitrine-page">(.*?)</script>', answer.text, re.DOTALL)
    return json.loads(definition)


async def test_the_gallery_knows_who_looks(gateway):
    answer = await gateway.get("/")
    assert answer.status_code == 200
    assert "Ben Analyst" in answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_a_dashboard_page_brings_its_definition(gateway):
    answer = await gateway.get("/dashboard/1/")
    page = _page(answer)
    assert (page["id"], page["title"], page["standalone"]) == (1, "Shop", False)
    assert [tab["id"] for tab in page["tabs"]] == ["main", "more"]
    assert "Log out" in answer.text


@pytest.mark.parametrize("path", ["/dashboard/1/?standalone=1", "/chart/1/?standalone=1&render=abc"])
async def test_the_standalone_form_has_no_header(gateway, path):
    answer = await gateway.get(path)
    assert _page(answer)["standalone"] is True
    assert "Log out" not in answer.text


async def test_titles_and_specs_are_data(gateway):
    with gateway.services.sessions.begin() as session:
        session.get_one(Chart, 1).title = "</script><script>alert(1)</script>"
    answer = await gateway.get("/chart/1/")
    assert "<script>alert" not in answer.text
    assert _page(answer)["title"] == "</script><script>alert(1)</script>"


async def test_a_view_is_noted_for_people_and_not_for_renders(gateway):
    await gateway.get("/dashboard/1/?standalone=1", "", headers=gateway.cookie("ben", Audience.PAGE))
    await gateway.get("/dashboard/1/", "nia")

    def views():
        with gateway.services.sessions() as session:
            return [(view.username, view.target_id, view.source) for view in session.query(ViewLog)]

    await wait_until_async(views, 5, "no view was noted")
    assert views() == [("nia", "1", "page")]


async def test_what_one_may_not_see_is_a_404_page_for_a_browser(gateway):
    answer = await gateway.get("/dashboard/2/", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["X-Correlation-ID"] in answer.text
    assert 'data-vitrine="failed"' in answer.text


async def test_the_inline_parts_of_a_page_are_no_scripts(gateway):
    """The policy forbids inline scripts and styles: a page that had some would be broken."""
    for path in ("/", "/dashboard/1/", "/chart/1/", "/login/", "/docs/"):
        answer = await gateway.get(path)
        scripts = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", answer.text)
        assert all('type="application/json"' in script for script in scripts), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", answer.text), path
