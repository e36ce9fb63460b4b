"""The gateway as it is run: gunicorn with two workers, over real servers, without a renderer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from shared.messages import render
from shared.queue import RENDER_QUEUE
from shared.settings import Settings
from shared.store import open_store
from shared.store.pictures import Pictures
from tests.harness import ManagedProcess, Memcached, RabbitMQ, Vhost, free_port
from tests.samples.shop import PASSWORD, SECRET, make_shop

ROOT = Path(__file__).parents[4]


@dataclass
class Gateway:
    """A running gunicorn, its settings, and what a test does with it."""

    process: ManagedProcess
    settings: Settings
    broker: Vhost

    def client(self, username: str = "ben") -> httpx.Client:
        """Logged in."""
        base = self.settings.base_url
        credentials = {"username": username, "password": PASSWORD}
        answer = httpx.post(f"{base}/api/v1/security/login", json=credentials, timeout=30)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=base, timeout=10, headers=headers)

    def thumbnail_url(self, client: httpx.Client, kind: str = "chart") -> str:
        url: str = client.get(f"/api/v1/{kind}/1").json()["result"]["thumbnail_url"]
        return url

    def draw(self, body: bytes = b"\x89PNG", *, digest: str | None = None) -> render.RenderRequest:
        """Plays the renderer for the next message."""
        message = self.broker.get(RENDER_QUEUE)
        assert message is not None, "no message"
        request = render.decode(json.loads(message)["kwargs"]["request"])
        asyncio.run(self._store(request, body, digest or request.digest))
        return request

    async def _store(self, request: render.RenderRequest, body: bytes, digest: str) -> None:
        settings = self.settings
        store = open_store(settings, side="renderer")
        pictures = Pictures(store, settings.store_prefix, ttl_s=3600, fresh_s=3600)
        await pictures.put(
            request.key,
            body,
            content_type="image/png",
            generation=request.generation,
            digest=digest,
            rendered_at=datetime.now(UTC),
        )
        await pictures.finish(request.key, request.generation)
        await store.close()


@pytest.fixture
def run_gateway(tmp_path: Path, spawn: Callable[..., ManagedProcess]) -> Callable[..., Gateway]:
    """`run_gateway(vhost or rabbitmq, memcached, retry_after_s=1, …)`: starts it and waits until it answers."""

    def run(broker: Vhost | RabbitMQ, memcached: Memcached, **changes: object) -> Gateway:
        state = tmp_path / "state"
        state.mkdir()
        make_shop(state)
        vhost = broker.default if isinstance(broker, RabbitMQ) else broker
        bind = f"127.0.0.1:{free_port()}"
        values = {
            "secret_key": SECRET,
            "state_dir": state,
            "bind": bind,
            "base_url": f"http://{bind}",
            "broker_url": vhost.url,
            "store_url": memcached.url,
            **changes,
        }
        settings = Settings(**values)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "gunicorn", "-c", "services/api/gunicorn.conf.py", "services.api.wsgi:app"]
        environment = {f"VITRINE_{name.upper()}": str(value) for name, value in values.items()}
        process = spawn(command, name="gateway", env=environment, cwd=ROOT)
        process.wait_for_http(f"{settings.base_url}/healthz", 60)
        return Gateway(process, settings, vhost)

    return run
