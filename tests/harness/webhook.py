"""Whoever is told by HTTP: takes JSON by POST and remembers it."""

from __future__ import annotations

import json
from typing import Any

from tests.harness.http_server import PostServer


class Webhook(PostServer):
    """`told`: the path and the body of each POST so far."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Any]] = []

    def take(self, path: str, headers: Any, body: bytes) -> None:
        self.told.append((path, json.loads(body)))
