"""HTTP to Superset: one client with timeouts, a bounded number of connections, retries of reads, and a circuit."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import prison
import structlog

from shared.catalog.superset.circuit import Circuit
from shared.errors import CatalogUnavailable, Forbidden, NotFound, QueryFailed, QueryTimedOut, Unauthenticated

log = structlog.get_logger(__name__)
PAUSES_S = (0.2, 0.8)  # before each further try of a read
MISSED_S = (0.05, 0.2)  # before a row that was not found is looked for again
CONNECTIONS = 8  # at once, of one process: whoever comes later waits, and Superset is not overrun
PAGE_SIZE = 100
PASSING = (408, 425, 429)  # 4xx that say: not now
RIGHTS = "docs/superset.md lists who needs which"


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
        self._timeout = httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))
        self._http = httpx.Client(
            base_url=origin,
            timeout=self._timeout,
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
            except CatalogUnavailable as error:
                waited = isinstance(error.__cause__, httpx.PoolTimeout)  # as long as a request may take
                if pause_s is None or waited or not self._circuit.is_closed:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the loop returns or raises")

    def once(
        self, path: str, credential: Credential, *, query_s: float | None = None, says_no: Collection[int] = ()
    ) -> dict[str, Any]:
        """The JSON object at `path`, not asked for again when it fails. `says_no`: statuses, 5xx too, that mean here:
        there is none. Raises as `get` and `send`.
        """
        answer = self.send("GET", path, credential, query_s=query_s, says_no=says_no)
        if answer.status_code in says_no:
            raise NotFound("Superset has no such object.")
        return _read(answer)

    def post(self, path: str, credential: Credential, body: Mapping[str, Any], *, query_s: float) -> dict[str, Any]:
        """What a POST that only reads answers. Raises as `get` and `send`."""
        return _read(self.send("POST", path, credential, json=body, query_s=query_s))

    def find(
        self, path: str, credential: Credential, column: str, value: str | int, **query: Any
    ) -> dict[str, Any] | None:
        """The row of a list whose `column` is `value`; None when it is not there, also when it is looked for again.

        Superset mixes up the filters of requests that its threads answer in the same instant (Flask-AppBuilder's
        `ModelRestApi._handle_filters_args` keeps them in the API object): a row that is there may be missing, or
        another come instead.
        """
        query["filters"] = [{"col": column, "opr": "eq", "value": value}]
        for pause_s in (*MISSED_S, None):
            rows = self.get(path, credential, **query).get("result") or []
            found = next((row for row in rows if row.get(column) == value), None)
            if found is not None or pause_s is None:
                return found
            time.sleep(pause_s)
        raise AssertionError("the loop returns")

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

    def put(
        self, path: str, credential: Credential, body: Mapping[str, Any], *, right: str, query_s: float
    ) -> dict[str, Any]:
        """One PUT, with the CSRF token that Superset asks for. Not tried again. Raises as `get` and `send`, and
        Forbidden for a user without the `right` to it.
        """
        token, cookie = self._csrf(credential)
        headers = {"X-CSRFToken": token, "Referer": f"{self.origin}/"}
        signed = Credential(cookie or credential.cookie, credential.bearer)
        answer = self.send("PUT", path, signed, json=body, headers=headers, query_s=query_s)
        if answer.status_code == 403:
            raise Forbidden(f"In Superset this user lacks the right {right!r}; {RIGHTS}.")
        return _read(answer)

    def send(
        self,
        method: str,
        path: str,
        credential: Credential,
        *,
        query_s: float | None = None,
        says_no: Collection[int] = (),
        **options: Any,
    ) -> httpx.Response:
        """One request through the circuit; the answer as it is. `query_s`: it runs queries, which may take so long.

        Raises CatalogUnavailable; QueryTimedOut for queries that took longer. Neither their slowness nor our own full
        pool is a failure of Superset's.
        """
        headers = _signed(dict(options.pop("headers", {})), credential, self.cookie_name)
        if query_s is not None:
            options["timeout"] = httpx.Timeout(**(self._timeout.as_dict() | {"read": query_s}))
        with self._circuit.call() as call:
            try:
                answer = self._http.request(method, path, headers=headers, **options)
            except httpx.PoolTimeout as error:
                call.counts = False
                told = f"All {CONNECTIONS} connections to Superset were busy for {self._timeout.pool:g} s ({path})."
                raise CatalogUnavailable(told) from error
            except httpx.TimeoutException as error:
                if query_s is not None and isinstance(error, httpx.ReadTimeout):
                    call.counts = False
                    raise QueryTimedOut(f"Superset had no rows after {query_s:g} s ({path}).") from error
                raise CatalogUnavailable(f"Superset did not answer in time ({path}).") from error
            except httpx.HTTPError as error:
                raise CatalogUnavailable(f"Superset cannot be reached: {type(error).__name__} ({path}).") from error
            if answer.status_code == 500 and (says_no or query_s is not None):
                call.counts = False  # it stumbled over what was asked
            if answer.status_code not in says_no and (answer.status_code >= 500 or answer.status_code in PASSING):
                raise CatalogUnavailable(f"Superset answered {answer.status_code} ({path}).")
            return answer

    def _once(self, path: str, credential: Credential, params: Mapping[str, str]) -> dict[str, Any]:
        return _read(self.send("GET", path, credential, params=params))

    def _csrf(self, credential: Credential) -> tuple[str, str]:
        """The token, and the session cookie in which Superset remembers it."""
        answer = self.send("GET", "/api/v1/security/csrf_token/", credential)
        return str(_read(answer)["result"]), answer.cookies.get(self.cookie_name) or ""


def _signed(headers: dict[str, str], credential: Credential, cookie_name: str) -> dict[str, str]:
    if credential.bearer:
        headers["Authorization"] = f"Bearer {credential.bearer}"
    if credential.cookie:
        headers["Cookie"] = f"{cookie_name}={credential.cookie}"
    return headers


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code in (401, 403, 404, 422) or answer.is_redirect:
        # To who asked, all this may look alike: nothing there. Whoever runs it can tell it apart.
        log.info("superset_refused", status=answer.status_code, path=answer.url.path)
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
