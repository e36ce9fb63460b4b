"""The keeper of a process's queries: renews their leases, hands off what lasts, and ends what must not go on.

One thread for all of them. A query that runs sits in a call of its database's driver; the keeper cancels it from
outside, in the database itself.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import structlog

from shared.errors import DatabaseUnavailable
from shared.sqllab.records import Hold, Queries
from shared.sqllab.states import QueryState

log = structlog.get_logger(__name__)
LOOK_S = 0.25  # a stop reaches the database this late, and a round trip
NOTE_S = 1.0  # between two notes of a query's progress, the first of them after so long
CANCEL_AGAIN_S = 1.0  # a cancel can fall between two statements


class Verdict(StrEnum):
    """Why a query must not go on."""

    STOPPED = "stopped"
    TIMED_OUT = "timed_out"
    LOST = "lost"  # it is not ours any more: somebody ended it, or we could not renew its lease
    SHUT_DOWN = "shut_down"  # this process ends


class Running:
    """A query in hand, seen by its own thread and by the keeper's."""

    def __init__(self, hold: Hold, hand_off: Callable[[], None]) -> None:
        self.hold = hold
        self.began = time.monotonic()
        self.ends_at = self.began + hold.left_s
        self.hand_off = hand_off
        self.cancel: Callable[[], object] | None = None  # set while something of it may run in the database
        self.verdict: Verdict | None = None
        self.stopped_by = ""
        self.position: dict[str, Any] | None = None  # of an error in its SQL
        self.rows = 0
        self.progress = 0
        self.statements_done = 0
        self.is_fetching = False
        self.noted = self.progress_now
        self.noted_at = self.began
        self.handed_off = False
        self.cancelled_at = 0.0

    @property
    def progress_now(self) -> dict[str, Any]:
        """Columns of its row."""
        state = {"status": QueryState.FETCHING.value} if self.is_fetching else {}
        return {"rows": self.rows, "progress": self.progress, "statements_done": self.statements_done, **state}


class Keeper:
    """`owner` is what the rows say of whoever has them in hand: this process."""

    def __init__(self, queries: Queries, *, lease_s: float, handoff_s: float) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._queries = queries
        self._lease_s = lease_s
        self._handoff_s = handoff_s
        self._running: set[Running] = set()  # one query twice, where it was taken from us and then came back to us
        self._wake = threading.Condition()
        self._stopping = False
        self._beaten_at = time.monotonic()
        self._thread = threading.Thread(target=self._keep, name="query-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def abandon(self, timeout_s: float) -> None:
        """Cancels all that runs, as this process ends, and waits for it to be written down."""
        with self._wake:
            for one in self._running:
                one.verdict = one.verdict or Verdict.SHUT_DOWN
        give_up = time.monotonic() + timeout_s
        while self._running and time.monotonic() < give_up:
            time.sleep(LOOK_S / 5)

    @contextmanager
    def keeping(self, hold: Hold, hand_off: Callable[[], None] = lambda: None) -> Iterator[Running]:
        """Keeps a query while the block runs."""
        running = Running(hold, hand_off)
        with self._wake:
            if not self._running:
                self._beaten_at = time.monotonic()  # its claim began its lease
            self._running.add(running)
            self._wake.notify()
        try:
            yield running
        finally:
            with self._wake:
                self._running.discard(running)

    def _keep(self) -> None:
        while True:
            with self._wake:
                while not self._running and not self._stopping:
                    self._wake.wait()
                if self._stopping and not self._running:
                    return
                running = list(self._running)
            try:
                self._look(running)
            except DatabaseUnavailable as error:
                log.warning("query_leases_not_renewed", reason=error.message)
            except Exception:  # a fault of ours here must not let every lease lapse
                log.exception("query_keeper_failed")
            self._judge(running)
            time.sleep(LOOK_S)

    def _look(self, running: list[Running]) -> None:
        now = time.monotonic()
        if now - self._beaten_at > self._lease_s / 3:
            self._queries.beat(self.owner, self._lease_s)
            self._beaten_at = time.monotonic()
        looks = self._queries.in_hand(self.owner, [one.hold.query.id for one in running])
        for one in running:
            look = looks.get(one.hold.query.id)
            if look is None or look.epoch != one.hold.epoch:
                one.verdict = one.verdict or Verdict.LOST
            elif look.stop_asked_by is not None and one.verdict is None:
                one.verdict, one.stopped_by = Verdict.STOPPED, look.stop_asked_by
            progress = one.progress_now
            if one.verdict is None and progress != one.noted and now - one.noted_at > NOTE_S:
                one.noted, one.noted_at = progress, now
                self._queries.note(one.hold, **progress)

    def _judge(self, running: list[Running]) -> None:
        now = time.monotonic()
        lapsed = now - self._beaten_at > self._lease_s  # others take these for dead: what they end must not go on
        for one in running:
            if one.verdict is None and (lapsed or now > one.ends_at):
                one.verdict = Verdict.LOST if lapsed else Verdict.TIMED_OUT
            if one.verdict is not None:
                self._cancel(one, now)
            elif not one.handed_off and now - one.began > self._handoff_s:
                one.handed_off = True
                one.hand_off()

    def _cancel(self, one: Running, now: float) -> None:
        cancel = one.cancel
        if cancel is None or now - one.cancelled_at < CANCEL_AGAIN_S:
            return
        one.cancelled_at = now
        log.info("query_cancelled", query_id=one.hold.query.id, verdict=one.verdict)
        threading.Thread(target=_quietly, args=(cancel,), name="query-cancel", daemon=True).start()


def _quietly(cancel: Callable[[], object]) -> None:
    try:
        cancel()
    except Exception as error:  # noqa: BLE001  # whatever its driver raises: it is tried again, and the row ends anyway
        log.warning("query_not_cancelled", error=type(error).__name__)
