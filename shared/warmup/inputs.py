"""Parameters as people write them: spans of time, lists, and what is wrong with them in one line. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from shared.errors import InvalidInput

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)(\s+ago)?", re.IGNORECASE)
MAX_SPAN = timedelta(days=3660)


def span(text: Any) -> timedelta:
    """`7d`, `90m`, `7 days`, `7 days ago`; ten years at most, so that no date gets out of range. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be a span of time such as 90m, 24h, 7d or '7 days ago'")
    length = timedelta(seconds=int(found[1]) * _UNITS[found[2][0].lower()])
    if length > MAX_SPAN:
        raise ValueError(f"must be a span of at most {MAX_SPAN.days} days, such as 7d")
    return length


def _since(value: Any) -> Any:
    """Kept as it was written: a schedule's `7d` means seven days before each of its fires."""
    since(value, datetime.now(UTC))
    return value


def since(text: Any, now: datetime) -> datetime:
    """A span before `now`, or an ISO date or instant. Raises ValueError."""
    if isinstance(text, str) and _SPAN.fullmatch(text.strip()):
        return now - span(text)
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError("must be a span such as 7d or '7 days ago', or an ISO date such as 2026-11-01") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _span(value: Any) -> Any:
    span(value)
    return value


def _listed(value: Any) -> Any:
    """`a,b` or `["a", "b"]`; numbers are taken as texts."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        return [str(item) if type(item) is int else item for item in value]
    return value


def _timezone(value: Any) -> Any:
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError("must be a time zone such as Europe/Berlin or UTC")
    return value


Since = Annotated[str, BeforeValidator(_since)]
Span = Annotated[str, BeforeValidator(_span)]
Listed = Annotated[list[str], BeforeValidator(_listed)]
Timezone = Annotated[str, BeforeValidator(_timezone)]


class Form(BaseModel):
    """What people fill in: a field that is not listed is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("holds a NUL character, which PostgreSQL does not keep")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_switch(cls, value: Any, field: ValidationInfo) -> Any:
        """`true` would be taken for the number 1."""
        annotation = cls.model_fields[field.field_name or ""].annotation
        if isinstance(value, bool) and int in (get_args(annotation) or (annotation,)):
            raise ValueError(f"must be a whole number, not {str(value).lower()}")
        return value


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(map(_has_nul, value))
        case dict():
            return any(_has_nul(part) for pair in value.items() for part in pair)
    return False


def fill(form: type[BaseModel], values: Any, *, prefix: str = "") -> Any:
    """The form, filled in. Raises InvalidInput, whose message and field name the first value at fault."""
    try:
        return form.model_validate(values)
    except ValidationError as error:
        message, field = _fault(form, error, prefix)
        raise InvalidInput(message, field=field) from None


def _fault(form: type[BaseModel], error: ValidationError, prefix: str) -> tuple[str, str]:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    field = f"{prefix}{place}" if place else prefix.rstrip(".") or "body"
    known = ", ".join(field.alias or name for name, field in form.model_fields.items()) or "none"
    match first["type"]:
        case "extra_forbidden":
            return f"{place!r} is no parameter here; known: {known}.", field
        case "missing":
            return f"{field} is missing.", field
    why = first["msg"].removeprefix("Value error, ")
    why = why[0].lower() + why[1:]
    return f"{field}: {why.rstrip('.')}.", field
