"""Somebody who writes SQL, over HTTP, as Superset's SQL Lab would."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from tests.harness.person import Person
from tests.harness.polling import wait_until

ENDS = ("success", "failed", "stopped", "timed_out")
END_S = 60  # on a loaded machine
EXECUTE = "/api/v1/sqllab/execute/"


class Analyst:
    """`database_id` is that of the queries."""

    def __init__(self, person: Person, database_id: int) -> None:
        self.person = person
        self.database_id = database_id

    def execute(self, sql: str, **more: Any) -> httpx.Response:
        return self.person.post(EXECUTE, {"database_id": self.database_id, "sql": sql, **more}, timeout=90)

    def start(self, sql: str, **more: Any) -> str:
        """In the background; its client id."""
        answer = self.execute(sql, runAsync=True, **more)
        assert answer.status_code == 202, answer.text
        client_id: str = answer.json()["query"]["id"]
        return client_id

    def look(self, client_id: str) -> dict[str, Any]:
        answer = self.person.get(f"/api/v1/query/{client_id}")
        assert answer.status_code == 200, answer.text
        query: dict[str, Any] = answer.json()["result"]
        return query

    def until(self, client_id: str, *states: str, timeout_s: float = END_S) -> dict[str, Any]:
        """Polls until the query is in one of these states, by default an end."""

        def reached() -> dict[str, Any] | None:
            query = self.look(client_id)
            return query if query["status"] in (states or ENDS) else None

        return wait_until(
            reached,
            timeout_s,
            lambda: f"{states or ENDS}; it is {self.look(client_id)}",
            ignoring=(httpx.TransportError,),
            interval_s=0.1,
        )

    def results(self, key: str, **more: int) -> httpx.Response:
        asked = ",".join(f"{name}:{value}" for name, value in more.items())
        return self.person.get(f"/api/v1/sqllab/results/?q=(key:'{quote(key)}'{',' + asked if asked else ''})")

    def stop(self, client_id: str) -> httpx.Response:
        return self.person.post("/api/v1/query/stop", {"client_id": client_id})
