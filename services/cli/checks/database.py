"""The metadata database, its clock, and what the schedulers have written into it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from services.cli.checks.finding import Finding, fail, ok, warn
from services.scheduler.leader import LEASE
from shared.errors import DatabaseUnavailable
from shared.metadata.clock import database_now
from shared.metadata.engine import check, open_metadata, sessions
from shared.metadata.models import Fire, SchedulerLease
from shared.settings import Settings
from shared.warmup.due import due_times
from shared.warmup.schedules import Schedules

SKEW_WARN_S, SKEW_FAIL_S = 2.0, 30.0  # a sign-in of the renderer, made by one clock and checked by another, is short
LATE_S = 120  # a fire that is so late is not on its way any more


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    engine = open_metadata(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def database(settings: Settings) -> Iterator[Finding]:
    with opened(settings) as engine:
        place = engine.url.render_as_string(hide_password=True)
        try:
            engine.connect().close()
        except DatabaseUnavailable as error:
            mend = "Start the database, or correct VITRINE_METADATA_URL (user, password, host, name)."
            yield fail("database", error.message, mend)
            return
        try:
            yield ok("database", f"{place}: {check(engine)}")
        except DatabaseUnavailable as error:
            yield fail("database", error.message, "Run: vitrine db upgrade")


def clock(settings: Settings) -> Iterator[Finding]:
    """Against the database's, which is everybody's: a SQLite file has no clock of its own."""
    with opened(settings) as engine:
        if engine.dialect.name == "sqlite":
            yield ok("clock", "the metadata database has this machine's own clock")
            return
        behind = _skew_s(engine)
    found = f"the database's clock is {abs(behind):.1f} s {'ahead of' if behind > 0 else 'behind'} this machine's"
    mend = "Let every machine follow the same time servers (chrony, systemd-timesyncd)."
    if abs(behind) > SKEW_FAIL_S:
        yield fail("clock", found, mend)
    else:
        yield warn("clock", found, mend) if abs(behind) > SKEW_WARN_S else ok("clock", found)


def _skew_s(engine: Engine) -> float:
    """How far the database's clock is ahead, as the quickest of a few looks tells."""
    looks = []
    with Session(engine) as session:
        for _ in range(3):
            before = time.time()
            there = session.scalar(select(database_now(session))) or 0.0
            after = time.time()
            looks.append((after - before, there - (before + after) / 2))
    return min(looks)[1]


def scheduler(settings: Settings) -> Iterator[Finding]:
    """Who leads, and whether what is due is done."""
    mend = (
        "Start one: python -m services.scheduler, or vitrine up. Without it pictures grow stale and nothing is warmed."
    )
    with opened(settings) as engine:
        with Session(engine) as session:
            now = session.scalar(select(database_now(session))) or 0.0
            lease = session.get(SchedulerLease, LEASE)
            last = session.scalar(select(func.max(Fire.claimed_at)).where(Fire.outcome == "fired"))
        if lease is None:
            yield fail("scheduler", "none has ever led", mend)
        elif lease.expires_at <= now:
            yield fail("scheduler", f"none leads; {lease.holder}'s lead ended {_ago(now - lease.expires_at)} ago", mend)
        else:
            fired = f"the last fire was {_ago(now - last.timestamp())} ago" if last else "nothing has fired yet"
            yield ok("scheduler", f"{lease.holder} leads (term {lease.token}); {fired}")
            yield from _overdue(settings, engine, now)


def _overdue(settings: Settings, engine: Engine, now: float) -> Iterator[Finding]:
    """Schedules that a leading scheduler should have dealt with."""
    for row in Schedules(sessions(engine), settings).all():
        due = next(due_times(row, row.considered_until)) if row.enabled else None
        if due is not None and now - due.timestamp() > LATE_S + row.jitter_s:
            found = f"was due {_ago(now - due.timestamp())} ago ({due:%Y-%m-%d %H:%M} UTC), and did not fire"
            mend = (
                "See the leading scheduler's log: schedule_invalid, duty_failed or scheduler_paused, with the reason."
            )
            yield warn(f"scheduler:{row.name}", found, mend)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
