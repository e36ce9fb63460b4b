"""`python -m shared.probe URL [WORD]`: exit code 0 when URL answers 200 with WORD in it. The images' health checks.

The standard library alone, as it is started every few seconds.
"""

from __future__ import annotations

import http.client
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4


def probe(url: str, word: str = "") -> str:
    """Why it is not healthy, "" when it is."""
    if not url.startswith(("http://", "https://")):
        return f"{url} is no http URL"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 — checked above
            text = answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error or type(error).__name__}"
    return "" if word in text else f"{url} has no {word}"


if __name__ == "__main__":
    sys.exit(probe(*sys.argv[1:3]) or 0 if len(sys.argv) in (2, 3) else __doc__)
