"""The gateway over the in-memory store, a recording publisher and a small catalog in SQLite."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from falcon import testing

from services.api.app import create_app
from services.api.services import Services, build
from shared.errors import BrokerUnavailable
from shared.heartbeats import Heart
from shared.identity import Audience
from shared.messages.query import QueryRequest
from shared.messages.render import RenderRequest
from shared.messages.warm import WarmRequest
from shared.settings import Settings
from shared.store.memory import Memory
from tests.samples.shop import SECRET, make_shop


class RecordingPublisher:
    """A publisher that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.published: list[RenderRequest] = []
        self.warm: list[WarmRequest] = []
        self.queries: list[QueryRequest] = []
        self.down = False

    async def publish(self, request: RenderRequest) -> None:
        if self.down:
            raise BrokerUnavailable("The message broker does not confirm messages.")
        self.published.append(request)

    async def publish_warm(self, request: WarmRequest) -> None:
        if self.down:
            raise BrokerUnavailable("The message broker does not confirm messages.")
        self.warm.append(request)

    async def publish_query(self, request: QueryRequest) -> None:
        if self.down:
            raise BrokerUnavailable("The message broker does not confirm messages.")
        self.queries.append(request)

    def close(self) -> None:
        """Nothing to close."""


class NoHeart(Heart):
    """Writes nothing: a test that reads and then writes in one transaction of SQLite must be alone."""

    def start(self) -> None:
        """Nothing."""


@dataclass
class Gateway:
    """One running application and its parts."""

    services: Services
    conductor: testing.ASGIConductor
    publisher: RecordingPublisher
    store: Memory
    headers: dict[str, str] = field(default_factory=dict)

    def bearer(self, username: str, audience: Audience = Audience.API) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.services.tokens.issue(username, audience, 3600)}"}

    def cookie(self, username: str, audience: Audience = Audience.API) -> dict[str, str]:
        return {"Cookie": f"vitrine_session={self.services.tokens.issue(username, audience, 3600)}"}

    async def get(self, path: str, username: str = "ben", **options: Any) -> testing.Result:
        return await self.ask("GET", path, username, **options)

    async def post(self, path: str, username: str = "ben", **options: Any) -> testing.Result:
        return await self.ask("POST", path, username, **options)

    async def ask(
        self, method: str, path: str, username: str = "ben", *, headers: dict[str, str] | None = None, **options: Any
    ) -> testing.Result:
        """Signed in as `username` by a Bearer token; "" is nobody."""
        sent = {**(self.bearer(username) if username else {}), **(headers or {})}
        path, _, query = path.partition("?")
        return await self.conductor.simulate_request(method, path, query_string=query, headers=sent, **options)

    async def thumbnail_url(self, kind: str = "chart", number: int = 1, username: str = "ben") -> str:
        listed = await self.get(f"/api/v1/{kind}/{number}", username)
        url: str = listed.json["result"]["thumbnail_url"]
        return url

    async def store_picture(self, body: bytes = b"\x89PNG old", *, digest: str | None = None) -> None:
        """Plays the renderer for the last published request."""
        request = self.publisher.published[-1]
        await self.services.pictures.put(
            request.key,
            body,
            content_type=request.formats[0].content_type,
            generation=request.generation,
            digest=digest or request.digest,
            rendered_at=datetime.now(UTC),
        )
        await self.services.pictures.finish(request.key, request.generation)


@pytest.fixture(scope="session")
def catalog_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a loaded catalog, made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("catalog")
    make_shop(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, catalog_template: Path) -> Settings:
    state = tmp_path / "state"
    shutil.copytree(catalog_template, state)
    return Settings(secret_key=SECRET, state_dir=state, store_url="memory://", base_url="http://falconframework.org")


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def make_services(settings: Settings, publisher: RecordingPublisher) -> Callable[..., Services]:
    """`make_services(access_cache_s=0, …)`: with other settings than the fixture's."""

    def make(**changes: Any) -> Services:
        services = build(settings.model_copy(update=changes), publisher=publisher)
        return replace(services, heart=NoHeart(services.sessions, "gateway"))

    return make


@pytest_asyncio.fixture
async def gateway(
    make_services: Callable[..., Services], publisher: RecordingPublisher, request: pytest.FixtureRequest
) -> AsyncIterator[Gateway]:
    """The application, open. `@pytest.mark.parametrize("gateway", [{…}], indirect=True)` changes settings."""
    services = make_services(**getattr(request, "param", {}))
    assert isinstance(services.store, Memory)
    async with testing.ASGIConductor(create_app(services)) as conductor:
        yield Gateway(services, conductor, publisher, services.store)
