#!/usr/bin/env python3
"""Keeps a file a current picture of a dashboard or chart, for pages that show it to everybody.

    PREVIEW_URL=https://vitrine.example.org PREVIEW_USER=guest PREVIEW_PASSWORD_FILE=/etc/vitrine-guest \\
        preview.py dashboard/3 /var/www/html/shop.png

Run it from cron. Needs Python 3.9 and nothing else. It fails with one line, and leaves the last good picture where it
is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PATIENCE_S = 300
TIMEOUT_S = 30


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("preview: asked as: preview.py dashboard/ID|chart/ID FILE")
    target, file = sys.argv[1], Path(sys.argv[2])
    try:
        url = os.environ["PREVIEW_URL"].rstrip("/")
        body = picture(f"{url}/api/v1/{target}/thumbnail/x/", log_in(url))
        new = file.with_name(f"{file.name}.new")
        new.write_bytes(body)
        new.replace(file)  # whoever reads it has the old one or the new one, whole
    except HTTPError as error:
        sys.exit(f"preview: {error.url} answers {error.code}: {reason_of(error)}")
    except URLError as error:
        sys.exit(f"preview: {url} does not answer: {error.reason}")
    except KeyError as error:
        sys.exit(f"preview: {error.args[0]} is not set")
    except OSError as error:
        sys.exit(f"preview: {error}")


def log_in(url: str) -> str:
    """A token that holds for some hours; asked for anew each time, so that none has to be kept."""
    password = Path(os.environ["PREVIEW_PASSWORD_FILE"]).read_text(encoding="utf-8").rstrip("\n")
    words = {"username": os.environ["PREVIEW_USER"], "password": password, "provider": "db"}
    headers = {"Content-Type": "application/json"}
    asked = Request(f"{url}/api/v1/security/login", json.dumps(words).encode(), headers)
    with urlopen(asked, timeout=TIMEOUT_S) as answer:
        return str(json.load(answer)["access_token"])


def picture(url: str, token: str) -> bytes:
    """The bytes of the thumbnail; when there is none yet, it has been asked for, and is waited for."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read()
            if answer.status == 200:
                return body
            wait_s = int(answer.headers.get("Retry-After", 2))
        status = json.loads(body)
        if status["task_status"] == "Error" or time.monotonic() > give_up:
            sys.exit(f"preview: no picture: {status['reason'] or 'it is not ready in time'}")
        time.sleep(wait_s)


def reason_of(error: HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError):
        return str(error.reason)


if __name__ == "__main__":
    main()
