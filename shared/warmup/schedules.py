"""Schedules: when a strategy is carried out. From a YAML file or through the API; due times by cron or interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import InvalidInput, NotFound
from shared.metadata.clock import database_instant
from shared.metadata.engine import raced, writing
from shared.metadata.models import Fire, WarmupRun, WarmupSchedule
from shared.settings import Settings
from shared.warmup import strategies
from shared.warmup.due import DAY, MIN_INTERVAL_S, check_cron, shortest_gap
from shared.warmup.inputs import Form, Listed, Span, Timezone, fill, span
from shared.warmup.runs import WARMS, From, Order

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
MIN_GRACE_S = 10  # a take-over between schedulers may last this long: with less, what it delays never happens


class Source(StrEnum):
    FILE = "file"
    API = "api"


class ScheduleForm(Form):
    """A schedule as people write it, in YAML and JSON alike."""

    name: str = Field(pattern=f"^{NAME}$")
    strategy: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    warms: Listed = Field(default_factory=lambda: ["data"])
    cron: str | None = Field(None, max_length=200)
    interval: Span | None = None
    timezone: Timezone = "UTC"
    misfire_grace: Span = "5m"
    coalesce: bool = True
    overlap: Literal["skip", "queue", "replace"] = "skip"
    jitter: Span = "0s"
    budget_s: int | None = Field(None, ge=1, le=86_400)
    enabled: bool = True

    @field_validator("warms")
    @classmethod
    def _known(cls, words: list[str]) -> list[str]:
        if not words or not set(words) <= set(WARMS):
            raise ValueError(f"must be some of {', '.join(WARMS)}")
        return words

    @field_validator("cron")
    @classmethod
    def _parses(cls, text: str | None) -> str | None:
        if text is not None:
            check_cron(text)
        return text

    @field_validator("interval")
    @classmethod
    def _long_enough(cls, text: str | None) -> str | None:
        if text is not None and span(text).total_seconds() < MIN_INTERVAL_S:
            raise ValueError(f"must be {MIN_INTERVAL_S} s or more")
        return text

    @field_validator("timezone")
    @classmethod
    def _matters(cls, zone: str, info: ValidationInfo) -> str:
        interval = info.data.get("interval")
        if zone != "UTC" and interval and span(interval) % DAY:
            raise ValueError("goes with cron, or with an interval of whole days; a shorter one is the same everywhere")
        return zone

    @field_validator("misfire_grace")
    @classmethod
    def _patient_enough(cls, text: str) -> str:
        if span(text).total_seconds() < MIN_GRACE_S:
            raise ValueError(f"must be {MIN_GRACE_S} s or more; a take-over between schedulers may last that long")
        return text

    @field_validator("jitter")
    @classmethod
    def _within_its_turn(cls, text: str, info: ValidationInfo) -> str:
        cron, interval = info.data.get("cron"), info.data.get("interval")
        gap = shortest_gap(cron) if cron else span(interval) if interval else timedelta.max
        if span(text) >= gap:
            raise ValueError(f"must be less than {gap.total_seconds():g} s, after which it is due again")
        return text

    @model_validator(mode="after")
    def _one(self) -> ScheduleForm:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("must have either cron or interval")
        return self

    def values(self, settings: Settings) -> dict[str, Any]:
        """Columns of its row. Raises InvalidInput for a strategy or parameter that there is not."""
        strategy = strategies.make(self.strategy, self.parameters)
        return {
            "strategy": strategy.name,
            "parameters": strategies.stored(strategy),
            "warms": [word for word in WARMS if word in self.warms],
            "cron": self.cron,
            "interval_s": _seconds(self.interval) if self.interval else None,
            "timezone": self.timezone,
            "misfire_grace_s": _seconds(self.misfire_grace),
            "coalesce": self.coalesce,
            "overlap": self.overlap,
            "jitter_s": _seconds(self.jitter),
            "budget_s": self.budget_s or settings.warm_budget_s,
            "enabled": self.enabled,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """A schedule, with its last fire and the run that it made."""

    schedule: WarmupSchedule
    fire: Fire | None
    run: WarmupRun | None


class Schedules:
    """The rows of schedules. Synchronous; raises DatabaseUnavailable."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings

    def all(self) -> Sequence[WarmupSchedule]:
        with self._sessions() as session:
            return session.scalars(select(WarmupSchedule).order_by(WarmupSchedule.name)).all()

    def tell(self, name: str = "") -> list[Told]:
        """Every schedule (or one; raises NotFound) with its last fire."""
        with self._sessions() as session:
            query = select(WarmupSchedule).order_by(WarmupSchedule.name)
            rows = session.scalars(query.where(WarmupSchedule.name == name) if name else query).all()
            if name and not rows:
                raise NotFound(f"There is no schedule {name[:100]!r}.")
            return [self._told(session, row) for row in rows]

    def _told(self, session: Session, row: WarmupSchedule) -> Told:
        last = select(Fire).where(Fire.schedule == fire_name(row.name)).order_by(Fire.due_at.desc()).limit(1)
        fire = session.scalar(last)
        return Told(row, fire, session.get(WarmupRun, fire.run_id) if fire and fire.run_id else None)

    def put(self, form: ScheduleForm, *, username: str, new: bool | None = None) -> WarmupSchedule:
        """Makes or changes a schedule of the API. `new`: it must not (or must) be there before.

        Raises InvalidInput (also for a schedule that the file has), NotFound.
        """
        values = form.values(self._settings)

        def write() -> WarmupSchedule:
            with writing(self._sessions) as session:
                row = session.get(WarmupSchedule, form.name)
                if row is None and new is False:
                    raise NotFound(f"There is no schedule {form.name!r}.")
                if row is not None and new is True:
                    raise InvalidInput(f"There is a schedule {form.name!r} already.", field="name")
                _refuse_of_file(row)
                return _write(session, row, form.name, values, Source.API, username)

        return raced(write)

    def pause(self, name: str, *, paused: bool) -> None:
        """By an operator, wherever the schedule comes from. What became due meanwhile is not made up for.

        Raises NotFound.
        """
        with writing(self._sessions) as session:
            row = session.get(WarmupSchedule, name)
            if row is None:
                raise NotFound(f"There is no schedule {name[:100]!r}.")
            if row.paused and not paused:
                row.considered_until = database_instant(session)
            row.paused = paused

    def order(self, name: str, *, username: str, correlation_id: str) -> Order:
        """A run of it beside its due times. Raises NotFound, InvalidInput."""
        (told,) = self.tell(name)
        row = told.schedule
        return Order(
            strategy=strategies.make(row.strategy, row.parameters),
            warms=tuple(row.warms),
            origin=From.OPERATOR,
            correlation_id=correlation_id,
            budget_s=row.budget_s,
            username=username,
            schedule=row.name,
        )

    def delete(self, name: str) -> None:
        """Raises NotFound, InvalidInput for one that the file has."""
        with writing(self._sessions) as session:
            row = session.get(WarmupSchedule, name)
            if row is None:
                raise NotFound(f"There is no schedule {name[:100]!r}.")
            _refuse_of_file(row)
            session.delete(row)

    def load(self, path: Path) -> int:
        """Makes the schedules of the file be what it says; those that it has no more go. How many it has.

        Raises InvalidInput that names file, entry and field. All of it or nothing.
        """
        forms = {form.name: form.values(self._settings) for form in read(path)}
        with writing(self._sessions) as session:
            rows = {row.name: row for row in session.scalars(select(WarmupSchedule))}
            for name, values in forms.items():
                row = rows.get(name)
                if row is not None and row.source != Source.FILE:
                    raise InvalidInput(f"{path}: there is a schedule {name!r} of the API already.", field="name")
                _write(session, row, name, values, Source.FILE, "")
            for name, row in rows.items():
                if row.source == Source.FILE and name not in forms:
                    session.delete(row)
        return len(forms)


def read(path: Path) -> list[ScheduleForm]:
    """The schedules of a YAML file: `schedules: [{name, strategy, …}]`. Raises InvalidInput."""
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read: {str(error).splitlines()[0]}", field="schedules_file") from error
    entries = document.get("schedules") if isinstance(document, dict) else None
    if not isinstance(entries, list) or set(document) != {"schedules"}:
        raise InvalidInput(f"{path} must hold one list named schedules.", field="schedules")
    forms: dict[str, ScheduleForm] = {}
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        try:
            form: ScheduleForm = fill(ScheduleForm, entry)
            strategies.make(form.strategy, form.parameters)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: schedule {name or number}: {error.message}", field=error.field) from None
        if form.name in forms:
            raise InvalidInput(f"{path}: there are two schedules named {form.name!r}.", field="name")
        forms[form.name] = form
    return list(forms.values())


def fire_name(schedule: str) -> str:
    """The name of its fires: our own duties have theirs without a prefix."""
    return f"warmup:{schedule}"


def _write(
    session: Session, row: WarmupSchedule | None, name: str, values: dict[str, Any], source: Source, username: str
) -> WarmupSchedule:
    now = database_instant(session)
    if row is None:
        row = WarmupSchedule(name=name, considered_until=now, source=source.value, username=username, **values)
        session.add(row)
        return row
    if all(getattr(row, column) == value for column, value in values.items()):
        return row
    timing = ("cron", "interval_s", "timezone", "enabled")
    if any(getattr(row, column) != values[column] for column in timing):
        row.considered_until = now  # due times of the new timing that are past were never promised
    for column, value in values.items():
        setattr(row, column, value)
    row.changed_on, row.username = now, username
    return row


def _refuse_of_file(row: WarmupSchedule | None) -> None:
    if row is not None and row.source == Source.FILE:
        raise InvalidInput(f"The schedule {row.name!r} stands in the schedules file; change it there.", field="name")


def _seconds(text: str) -> int:
    return int(span(text) / timedelta(seconds=1))
