"""People at work while the deployment is shaken: they look at pictures, ask for new ones, and note what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Self

import httpx

from tests.harness import wait_until

REST_S = 0.1  # between two requests of one of them
TIMEOUT_S = 30


class Somebody:
    """Logged in through the front door."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=TIMEOUT_S, follow_redirects=True)
        words = {"username": username, "password": password, "provider": "db"}
        answer = self.client.post("/api/v1/security/login", json=words)
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        self.client.close()

    def targets(self) -> list[str]:
        """Paths of everything that they may see: `chart/1`, `dashboard/2` …"""
        found = []
        for kind in ("dashboard", "chart"):
            rows = self.client.get(f"/api/v1/{kind}/", params={"page_size": 100}).json()["result"]
            found += [f"{kind}/{row['id']}" for row in rows]
        return found

    def picture(self, target: str) -> httpx.Response:
        return self.client.get(f"/api/v1/{target}/thumbnail/x/")

    def ask_anew(self, target: str) -> httpx.Response:
        return self.client.post(f"/api/v1/{target}/thumbnail/", json={"force": True})

    def rendered_at(self, target: str) -> datetime | None:
        """None while there is no picture."""
        text = self.picture(target).headers.get("X-Vitrine-Rendered-At")
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


class Load(AbstractContextManager["Load"]):
    """Inside, two threads ask; `failures` holds each answer that was none, `accepted` when each target was last asked
    for, as the gateway confirmed.
    """

    def __init__(self, person: Somebody, targets: Sequence[str], *, anew_every_s: float = 1.0) -> None:
        self.person, self.targets = person, targets
        self.failures: list[str] = []
        self.accepted: dict[str, datetime] = {}
        self.answers = 0
        self._anew_every_s = anew_every_s
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look, self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 5)

    def _look(self) -> None:
        turn = 0
        while not self._stopping.wait(REST_S):
            turn += 1
            self._note(self.person.picture, self.targets[turn % len(self.targets)])

    def _ask(self) -> None:
        turn = 0
        while not self._stopping.wait(self._anew_every_s):
            turn += 1
            self.ask(self.targets[turn % len(self.targets)])

    def ask(self, target: str) -> None:
        """For a new picture."""
        asked = datetime.now(UTC).replace(microsecond=0)  # the gateway tells whole seconds
        answer = self._note(self.person.ask_anew, target)
        if answer is not None and answer.status_code == 202:
            self.accepted[target] = asked

    def _note(self, ask: Callable[[str], httpx.Response], target: str) -> httpx.Response | None:
        began = time.strftime("%T")
        try:
            answer = ask(target)
        except httpx.TransportError as error:
            self.failures.append(f"{began} {type(error).__name__}: {error}")
            return None
        self.answers += 1
        if answer.status_code >= 500:
            self.failures.append(
                f"{began} {answer.status_code} {answer.request.method} {answer.request.url.path}: {answer.text[:200]}"
            )
        return answer

    def wait_kept(self, timeout_s: float = 180) -> None:
        """Until each request that was accepted has its picture: drawn after it was asked for."""

        def missing() -> dict[str, str]:
            last = {target: self.person.rendered_at(target) for target in self.accepted}
            return {
                t: f"asked {self.accepted[t]}, drawn {at}" for t, at in last.items() if not at or at < self.accepted[t]
            }

        wait_until(lambda: not missing(), timeout_s, lambda: f"pictures that were accepted: {missing()}", interval_s=1)
