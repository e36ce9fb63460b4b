"""HTTP to Superset: one client with timeouts, a bounded number of connections, retries of reads, and a circuit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import prison

from shared.catalog.superset.circuit import Circuit
from shared.errors import CatalogUnavailable, NotFound, QueryFailed, Unauthenticated

PAUSES_S = (0.2, 0.8)  # before each further try of a read
CONNECTIONS = 8  # at once, of one process: whoever comes later waits, and Superset is not overrun
PAGE_SIZE = 100
PASSING = (408, 425, 429)  # 4xx that say: not now


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request is signed in with: a session cookie or a JWT. Never logged, never stored."""

    cookie: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)


class Client:
    """`origin`: Superset's address as we reach it. Thread-safe. Every method raises CatalogUnavailable when Superset
    does not answer, answers 5xx, or what it answers cannot be read.
    """

    def __init__(self, origin: str, *, cookie_name: str, timeout_s: float, circuit: Circuit | None = None) -> None:
        self.origin = origin
        self.cookie_name = cookie_name
        self._circuit = circuit or Circuit("superset")
        self._http = httpx.Client(
            base_url=origin,
            timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            headers={"User-Agent": "vitrine", "Accept": "application/json"},
            cookies=CookieJar(
                DefaultCookiePolicy(allowed_domains=[])
            ),  # each request has its own sign-in, and leaves none
            trust_env=False,  # a proxy of the environment would see the sessions
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, credential: Credential, **query: Any) -> dict[str, Any]:
        """The JSON object at `path`; `query` is sent as rison in `q`. Tried again on 5xx and broken connections.

        Raises Unauthenticated (401, or a redirect to the log-in page), NotFound (403, 404), QueryFailed (other 4xx).
        """
        params = {"q": prison.dumps(query)} if query else {}
        for pause_s in (*PAUSES_S, None):
            try:
                return self._once(path, credential, params)
            except CatalogUnavailable:
                if pause_s is None or not self._circuit.is_closed:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the loop returns or raises")

    def all(self, path: str, credential: Credential, **query: Any) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page."""
        page, seen = 0, 0
        while True:
            answer = self.get(path, credential, page=page, page_size=PAGE_SIZE, **query)
            rows = answer.get("result") or []
            yield from rows
            seen += len(rows)
            if not rows or seen >= int(answer.get("count") or 0):
                return
            page += 1

    def put(self, path: str, credential: Credential, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """One PUT, with the CSRF token that Superset asks for. Not tried again. Raises as `get`."""
        token, cookie = self._csrf(credential)
        headers = {"X-CSRFToken": token, "Referer": f"{self.origin}/"}
        signed = Credential(cookie or credential.cookie, credential.bearer)
        return _read(self.send("PUT", path, signed, json=body, headers=headers, timeout=timeout_s))

    def send(self, method: str, path: str, credential: Credential, **options: Any) -> httpx.Response:
        """One request through the circuit; the answer as it is. Raises CatalogUnavailable only."""
        headers = dict(options.pop("headers", {}))
        if credential.bearer:
            headers["Authorization"] = f"Bearer {credential.bearer}"
        if credential.cookie:
            headers["Cookie"] = f"{self.cookie_name}={credential.cookie}"
        with self._circuit.call():
            try:
                answer = self._http.request(method, path, headers=headers, **options)
            except httpx.TimeoutException as error:
                raise CatalogUnavailable(f"Superset did not answer in time ({path}).") from error
            except httpx.HTTPError as error:
                raise CatalogUnavailable(f"Superset cannot be reached: {type(error).__name__} ({path}).") from error
            if answer.status_code >= 500 or answer.status_code in PASSING:
                raise CatalogUnavailable(f"Superset answered {answer.status_code} ({path}).")
            return answer

    def _once(self, path: str, credential: Credential, params: Mapping[str, str]) -> dict[str, Any]:
        return _read(self.send("GET", path, credential, params=params))

    def _csrf(self, credential: Credential) -> tuple[str, str]:
        """The token, and the session cookie in which Superset remembers it."""
        answer = self.send("GET", "/api/v1/security/csrf_token/", credential)
        return str(_read(answer)["result"]), answer.cookies.get(self.cookie_name) or ""


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code in (401, 422) or answer.is_redirect:  # 422: a JWT that is none
        raise Unauthenticated("Superset does not know this session; log in again.")
    if answer.status_code in (403, 404):
        raise NotFound("Superset has no such object, or this user may not see it.")
    try:
        value = answer.json()
    except ValueError:
        value = None
    if answer.status_code >= 400 or not isinstance(value, dict):
        what = str(value.get("message", "")) if isinstance(value, dict) else "no JSON"
        told = f"Superset answered {answer.status_code} ({answer.url.path}): {what[:200].rstrip('.')}."
        # It refuses what it was asked (a chart without a saved query): the same question gets the same answer.
        raise QueryFailed(told) if answer.status_code >= 400 else CatalogUnavailable(told)
    return value
