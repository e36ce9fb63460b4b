"""A page of which only reads may reach its server, and all the ways in which a page can send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.renderer import visit
from services.renderer.guard import guard
from shared.catalog.port import Page
from shared.targets import Size
from tests.harness.polling import hold_true
from tests.integration.services.renderer.conftest import RULE, Rendering

pytestmark = pytest.mark.asyncio(loop_scope="session")
SEND = """async () => {
  const request = new XMLHttpRequest();
  const by_xhr = new Promise((done) => { request.onloadend = () => done(request.status); });
  request.open("POST", "/written/xhr");
  request.send("x");
  const sent = ["/written/fetch", "/written/keepalive", "/read"].map((path) =>
    fetch(path, {method: "POST", body: "x", keepalive: path.endsWith("keepalive")}));
  const was_taken = navigator.sendBeacon("/written/beacon", "x");
  return [was_taken, await by_xhr, ...(await Promise.all(sent)).map((answer) => answer.status)];
}"""


async def test_no_way_of_writing_reaches_the_server_and_the_page_believes_that_it_wrote(render: Rendering) -> None:
    spec = Page(render.site.url("one-chart"), RULE, reads=frozenset({"/read"}))
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    async with render.pool.lease("guarded", deadline) as lease:
        await visit.sign_in(lease, spec, Size(800, 600))
        await guard(lease, spec)
        await visit.navigate(lease, spec, render.pool.egress, deadline)
        before = len(render.site.hits)
        was_taken, *statuses = await lease.page.evaluate(SEND)
        assert (was_taken, statuses) == (True, [200, 200, 200, 404]), "/read is a page that the site does not have"

        def is_spared() -> bool:
            return not any(hit.path.startswith("/written") for hit in render.site.hits[before:])

        await hold_true(is_spared, 0.5, "a write reached the server")
        assert "/read" in [hit.path for hit in render.site.hits[before:]]
