"""The one port of results backends: named pieces of bytes with an end of life. All else is built on it in `sets.py`.

A class of your own does it too: register it under the entry point group `vitrine.results`, by the scheme of its URL.
Methods are synchronous, called from several threads, and never interrupted: `Calls` runs them on threads of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from shared.errors import InvalidInput

T = TypeVar("T")
KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
THREADS = 4


class Backend(Protocol):
    """Names are `<results key>/<ASCII letters, digits, . and />`, below 120 characters; a value is raw bytes.

    Every method raises ResultsUnavailable when the backend does not answer, or refuses to keep a value.
    """

    @property
    def max_item_bytes(self) -> int:
        """The largest value that `put` takes; longer ones are cut into several items."""
        ...

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        """Keeps the value for at least `ttl_s` seconds, if it can."""
        ...

    def get(self, name: str) -> bytes | None:
        """The whole value; None when there is none (any more)."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Names that are not there are no error."""
        ...

    def sweep(self) -> None:
        """Removes what has outlived its time, where the backend does not do so by itself."""
        ...

    def check(self) -> str:
        """One line on what answers."""
        ...

    def close(self) -> None: ...


class Calls:
    """The same backend, each call on a thread of ours.

    Dramatiq interrupts a worker's thread where it stands, at a time limit or a shutdown. In the midst of a call that
    would leave a connection between two answers; here only the waiting ends.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="results")

    @property
    def max_item_bytes(self) -> int:
        return self._backend.max_item_bytes

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        self._run(lambda: self._backend.put(name, value, ttl_s))

    def get(self, name: str) -> bytes | None:
        return self._run(lambda: self._backend.get(name))

    def delete(self, names: Sequence[str]) -> None:
        self._run(lambda: self._backend.delete(names))

    def sweep(self) -> None:
        self._run(self._backend.sweep)

    def check(self) -> str:
        return self._run(self._backend.check)

    def close(self) -> None:
        self._executor.shutdown()
        self._backend.close()

    def _run(self, call: Callable[[], T]) -> T:
        return self._executor.submit(call).result()


def check_key(key: str) -> str:
    """The results key itself. Raises InvalidInput for one that some backend could misread."""
    if KEY.fullmatch(key) is None:
        raise InvalidInput(f"{key[:60]!r} is no results key: letters, digits, - and _, at most 80.", field="key")
    return key
