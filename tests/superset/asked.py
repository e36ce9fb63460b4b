"""What a page asks Superset for while it renders, and what it is answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Request

from services.renderer.lease import Lease

DATA = "/api/v1/chart/data"


class Asked:
    """`render.watch = asked.listen`: from the end of that render on, of the page that goes on to the next."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def listen(self, lease: Lease) -> None:
        lease.page.on("request", lambda request: self.requests.append(request))  # Playwright takes no built-in method

    @property
    def data(self) -> list[Request]:
        """For rows: of charts, and of what filters offer."""
        return [request for request in self.requests if urlsplit(request.url).path == DATA]

    async def answers(self, chart: str) -> list[tuple[bool, Any]]:
        """For each query of a chart: whether it came from Superset's cache, and its rows."""
        found = []
        for request in self.data:
            asked = parse_qs(urlsplit(request.url).query).get("form_data")
            if asked == [f'{{"slice_id":{chart}}}']:
                answer = await request.response()
                assert answer is not None
                found += [(one["is_cached"], one["data"]) for one in (await answer.json())["result"]]
        return found
