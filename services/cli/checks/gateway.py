"""The gateway, as the renderer reaches it and as people do."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus

from services.cli.checks.finding import Finding, Verdict, fail, ok, warn
from shared.settings import Settings

TIMEOUT_S = 5
MAX_BYTES = 100_000
ELSEWHERE = "If people reach it, all is well: they are in another network than this machine, or container."


def gateway(settings: Settings) -> Iterator[Finding]:
    """Its /readyz, at the renderer's address and, where that is another one, at people's."""
    yield _ask(
        "gateway", settings.renderer_url, "VITRINE_INTERNAL_URL" if settings.internal_url else "VITRINE_BASE_URL"
    )
    if settings.internal_url and settings.internal_url != settings.base_url:
        found = _ask("gateway:base_url", settings.base_url, "VITRINE_BASE_URL")
        if found.verdict is Verdict.FAIL:  # not to be reached from here is no proof
            found = warn(found.name, found.found, f"{found.mend} {ELSEWHERE}")
        yield found


def _ask(name: str, origin: str, setting: str) -> Finding:
    url = f"{origin}/readyz"
    try:
        status, body = _get(url)
    except OSError as error:
        return fail(name, f"{url}: {error}", f"Start it (vitrine up), or correct {setting}.")
    except http.client.HTTPException:
        return fail(name, f"{url} does not speak HTTP", f"Something else listens there: correct {setting}.")
    try:
        checks = json.loads(body)["checks"]
    except (ValueError, KeyError, TypeError):
        mend = f"Something else answers there: correct {setting}, or let the proxy pass /readyz on."
        return fail(name, f"{url} answers {status}, and is not Vitrine's", mend)
    if status == HTTPStatus.OK:
        return ok(name, f"{origin} is ready")
    down = [f"{check} ({told['reason']})" for check, told in checks.items() if not told["ok"]]
    return fail(name, f"{origin} is not ready: {', '.join(down)}", "Mend what it names; its log tells more.")


def _get(url: str) -> tuple[int, bytes]:
    """Past any proxy of the environment, as the renderer asks. Raises OSError, HTTPException."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MAX_BYTES)
