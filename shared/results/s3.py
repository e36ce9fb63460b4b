"""Results in a bucket of any object store that speaks S3.

S3 has no expiry of single objects. Each object carries its end in its metadata, and a marker
`<prefix>/.ends/<hour>/<key>` is written before the first object of a key: a sweep finds what has ended without listing
the bucket, also what a killed process left behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.errors import InvalidInput, ResultsUnavailable

MAX_ITEM_BYTES = 64 * 2**20
CONNECT_TIMEOUT_S = 3
TIMEOUT_S = 60
RETRIES = 2
RETRY_S = 10
MARKERS = ".ends"
ENDS = "ends"  # the metadata field: Unix time
SWEPT_AT_ONCE = 500  # keys
OPTIONS = ("endpoint", "region")
_NO_BUCKET = "NoSuchBucket"


class S3Results:
    """A `port.Backend`; `url` is s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME].

    Without an access key, obstore looks in the AWS_… environment and asks the machine's role. Raises InvalidInput.
    """

    max_item_bytes = MAX_ITEM_BYTES

    def __init__(self, url: str, *, access_key: str = "", secret_key: str = "") -> None:
        bucket, prefix, options = _parts(url)
        if bool(access_key) != bool(secret_key):
            raise InvalidInput(
                "VITRINE_RESULTS_S3_ACCESS_KEY and VITRINE_RESULTS_S3_SECRET_KEY: set both, or neither.",
                field="results_s3_access_key",
            )
        if access_key:
            options |= {"access_key_id": access_key, "secret_access_key": secret_key}
        self._place = f"s3://{bucket}" + (f" at {options['endpoint']}" if "endpoint" in options else "")
        self._marked: set[str] = set()
        self._store: Any = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": options.get("endpoint", "").startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                "timeout": timedelta(seconds=TIMEOUT_S),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)},
            **options,
        )

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        ends = time.time() + ttl_s
        with self._errors():
            self._mark(name.partition("/")[0], ends)
            obstore.put(self._store, name, value, attributes={ENDS: f"{ends:.3f}"}, use_multipart=False)

    def get(self, name: str) -> bytes | None:
        with self._errors():
            found = self._found(name)
            return None if found is None else found.bytes().to_bytes()
        raise AssertionError("unreachable")

    def delete(self, names: Sequence[str]) -> None:
        if names:
            with self._errors():
                obstore.delete(self._store, list(names))

    def sweep(self) -> None:
        """Some hundreds of result sets at most; the next sweep goes on."""
        with self._errors():
            for marker in self._due():
                key = marker.rpartition("/")[2]
                if self._found(f"{key}/head") is None:  # else it was written anew, and has a later marker
                    for objects in obstore.list(self._store, prefix=key):
                        self.delete([item["path"] for item in objects])
                self.delete([marker])

    def check(self) -> str:
        with self._errors():
            self._found(f"{MARKERS}/check")
        return f"{self._place} answers"

    def close(self) -> None:
        """obstore closes its connections with the store."""

    def _found(self, name: str) -> Any | None:
        """The object, unless there is none or its time has ended."""
        try:
            found = obstore.get(self._store, name)
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                raise
            return None
        ends = found.attributes.get(ENDS)
        return None if ends is not None and float(ends) <= time.time() else found

    def _mark(self, key: str, ends: float) -> None:
        marker = f"{MARKERS}/{_hour(ends)}/{key}"
        if marker not in self._marked:
            obstore.put(self._store, marker, b"", use_multipart=False)
            if len(self._marked) > 1000:
                self._marked.clear()
            self._marked.add(marker)

    def _due(self) -> list[str]:
        """Markers of hours that are over, the oldest first."""
        due: list[str] = []
        hours = obstore.list_with_delimiter(self._store, prefix=MARKERS)["common_prefixes"]
        for hour in sorted(str(path) for path in hours):
            if hour.rpartition("/")[2] >= _hour(time.time()) or len(due) >= SWEPT_AT_ONCE:
                break
            due += [item["path"] for objects in obstore.list(self._store, prefix=hour) for item in objects]
        return due[:SWEPT_AT_ONCE]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise ResultsUnavailable(
                f"{self._place} does not do its work: {_reason(error)}. Does it run, is the bucket there, and may the "
                "key of VITRINE_RESULTS_S3_ACCESS_KEY read and write it?"
            ) from error


def _hour(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H")


def _reason(error: Exception) -> str:
    """What S3 says in one word, or the end of the first line; never what was sent."""
    if code := re.search(r"<Code>(\w{1,60})</Code>", str(error)):
        return code.group(1)
    first = str(error).partition("\n")[0]
    return first.rpartition(" - ")[2][:200] or type(error).__name__


def _parts(url: str) -> tuple[str, str, dict[str, Any]]:
    """Bucket, prefix, and what to tell obstore."""
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc or ":" in parts.netloc:
        raise _refused("must be s3://BUCKET[/PREFIX][?endpoint=URL]; keys stand in VITRINE_RESULTS_S3_ACCESS_KEY and …")
    given = parse_qs(parts.query, keep_blank_values=True)
    if unknown := sorted(set(given) - set(OPTIONS)):
        raise _refused(f"{unknown[0]!r} is no option; there are {', '.join(OPTIONS)}")
    options: dict[str, Any] = {name: values[0] for name, values in given.items()}
    endpoint = options.get("endpoint", "https://")
    if not endpoint.startswith(("http://", "https://")) or "@" in endpoint:
        raise _refused("its endpoint must be http://HOST:PORT or https://HOST, without a user")
    return parts.netloc, parts.path.strip("/"), options


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"VITRINE_RESULTS_URL: {why}.", field="results_url")
