"""Repeats a thumbnail's answer while all that it rests on still holds; decides nothing itself.

The application answers first. When a request comes the second time and the application says that its answer is
`Repeatable`, the same request (byte for byte, but for its correlation id) gets that answer again, as long as identity
and access would be taken from memory too, the picture is fresh, and the store's head, which is asked for each time, has
not changed. Whatever else happens is the application's to answer. (docs/adr/0020)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import Any

from falcon.asgi import App, Request, Response
from prometheus_client import Counter

from services.api.cache import ExpiringCache
from services.api.middleware import account, debugging
from shared.errors import StoreUnavailable
from shared.logs import correlation_id_from
from shared.store.pictures import Head, Pictures, same

SCOPE_KEY = "vitrine.repeatable"
CORRELATION_ID = b"x-correlation-id"
MAX_ENTRIES = 4096  # of a few KiB: the bodies are in `Pictures`
MAX_QUESTION_BYTES = 8192  # gunicorn lets through a hundred headers of so many each
MAX_KEPT_S = 60.0

Headers = list[tuple[bytes, bytes]]
Question = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Repeatable:
    """Put into the scope by a responder, where there is a place for it: the picture it answered with, and for how long
    the rest holds.
    """

    route: str
    key: str
    head: Head
    reads: Counter  # where it counts
    until: float  # on time.monotonic(): a client may take its time over the answer


@dataclass(frozen=True, slots=True)
class Answer:
    of: Repeatable
    status: int
    headers: Headers  # all but the correlation id


class RepeatingApp(App[Request, Response]):
    """Falcon's application, spared its work for a request that it answered a moment ago."""

    def __init__(self, pictures: Pictures, *, middleware: list[Any]) -> None:
        super().__init__(middleware=middleware)
        self._pictures = pictures
        self._answers: ExpiringCache[Question, Answer] = ExpiringCache(MAX_KEPT_S, max_entries=MAX_ENTRIES)
        self._asked: set[int] = set()  # hashes of questions

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # type: ignore[override]
        if scope["type"] != "http" or scope["method"] != "GET" or "/thumbnail/" not in scope["path"]:
            await super().__call__(scope, receive, send)
            return
        headers: Headers = [tuple(pair) for pair in scope["headers"]]  # ASGI: any iterable of iterables
        scope["headers"] = headers
        given = [value for name, value in headers if name == CORRELATION_ID]
        asked = [pair for pair in headers if pair[0] != CORRELATION_ID] if given else headers
        question = (scope["path"], scope["query_string"], *asked)
        answer = self._answers.get(question)
        if answer is not None and await self._repeat(answer, b",".join(given), send):
            return
        if self._is_new(hash(question)) or debugging():  # a debug log has a line of each request: the application's
            await super().__call__(scope, receive, send)
        else:
            await self._ask(question, scope, receive, send)

    def _is_new(self, question: int) -> bool:
        """Most requests come once; remembering them would cost more than it saves."""
        if question in self._asked:
            return False
        if len(self._asked) >= MAX_ENTRIES:
            self._asked.clear()
        self._asked.add(question)
        return True

    async def _repeat(self, answer: Answer, correlation_id: bytes, send: Any) -> bool:
        """False when the answer does not hold any more; then nothing was sent."""
        started, body = time.perf_counter(), b""
        try:
            if not same(await self._pictures.head(answer.of.key), answer.of.head):
                return False
        except StoreUnavailable:
            return False
        if answer.status == 200:
            picture = self._pictures.last_read(answer.of.key)
            if picture is None or not same(picture.head, answer.of.head):
                return False
            body = picture.body
        word = correlation_id_from(correlation_id.decode("latin-1")).encode()
        headers = [*answer.headers, (CORRELATION_ID, word)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        answer.of.reads.inc()
        account(answer.of.route, "GET", answer.status, time.perf_counter() - started)
        return True

    async def _ask(self, question: Question, scope: dict[str, Any], receive: Any, send: Any) -> None:
        start: dict[str, Any] = {}

        async def watch(event: dict[str, Any]) -> None:
            if event["type"] == "http.response.start":
                start.update(event)
            await send(event)

        scope[SCOPE_KEY] = None
        await super().__call__(scope, receive, watch)
        of: Repeatable | None = scope[SCOPE_KEY]
        size = len(scope["query_string"]) + sum(map(len, chain(*scope["headers"])))
        if of is None or size > MAX_QUESTION_BYTES:
            return
        headers = [pair for pair in start["headers"] if pair[0] != CORRELATION_ID]
        self._answers.put(question, Answer(of, start["status"], headers), ttl_s=of.until - time.monotonic())
