"""A circuit: after some failures in a row the origin is left alone for a while, then tried by one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from shared import metrics
from shared.errors import CatalogUnavailable

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Call:
    """One call through a circuit. `counts`: how it ends tells of the origin, not only of what was asked."""

    is_try: bool  # the one that is let through while the circuit is open
    counts: bool = True


class Circuit:
    """Closed: calls pass. Open, for `pause_s`: they are refused at once. Then one call is let through: if it succeeds
    the circuit closes, else it stays open for twice as long, at most `max_pause_s`. Thread-safe.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        pause_s: float = 5.0,
        max_pause_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._limit = failures
        self._first_pause_s = self._pause_s = pause_s
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._failed = 0
        self._open_until: float | None = None
        self._trying = False
        self._lock = threading.Lock()
        metrics.CATALOG_CIRCUIT.labels(name).set(0)

    @property
    def is_closed(self) -> bool:
        return self._open_until is None

    @contextmanager
    def call(self) -> Iterator[Call]:
        """Around one call; CatalogUnavailable raised inside counts as a failure, anything else as an answer, and what
        ends with `counts` switched off as neither.

        Raises CatalogUnavailable while the circuit is open.
        """
        call = self._enter()
        try:
            yield call
        except CatalogUnavailable:
            self._end(call, self._fail)
            raise
        except BaseException:  # whatever it was, Superset answered: the circuit counts that only
            self._end(call, self._succeed)
            raise
        self._end(call, self._succeed)

    def _end(self, call: Call, verdict: Callable[[], None]) -> None:
        with self._lock:
            if call.counts:
                verdict()
            elif call.is_try:
                self._trying = False  # it told nothing: the next call tries

    def _enter(self) -> Call:
        with self._lock:
            if self._open_until is None:
                return Call(is_try=False)
            left = self._open_until - self._clock()
            if left > 0 or self._trying:
                raise CatalogUnavailable(
                    f"{self._name.capitalize()} failed {self._failed} times in a row and is left alone for "
                    f"{max(left, 1):.0f} s more."
                )
            self._trying = True
            return Call(is_try=True)

    def _fail(self) -> None:
        self._failed += 1
        if self._trying:
            self._pause_s = min(self._pause_s * 2, self._max_pause_s)
        if self._trying or self._failed >= self._limit:
            self._trying = False
            self._open_until = self._clock() + self._pause_s
            metrics.CATALOG_CIRCUIT.labels(self._name).set(1)
            log.warning("circuit_opened", catalog=self._name, failures=self._failed, pause_s=self._pause_s)

    def _succeed(self) -> None:
        if self._open_until is not None:
            metrics.CATALOG_CIRCUIT.labels(self._name).set(0)
            log.info("circuit_closed", catalog=self._name)
        self._failed, self._open_until, self._trying = 0, None, False
        self._pause_s = self._first_pause_s
