"""What every error of the taxonomy is: permanent or transient, with a code, and a message for people.

Which errors there are stands in `shared/errors.py`, from where these too are imported.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple


class VitrineError(Exception):
    """Root of all our failures; raise one of its subclasses."""

    code: ClassVar[str] = "internal"
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field  # the input field at fault, where there is one
        self.more: dict[str, object] = {}  # what else programs are told with it


class PermanentError(VitrineError):
    """Trying again changes nothing."""


class TransientError(VitrineError):
    """Trying again shortly may help."""

    transient = True


class Span(NamedTuple):
    """A stretch of a text, in characters: `start` is the first, `end` the one after the last."""

    start: int
    end: int


class SqlFault(PermanentError):
    """An error of somebody's SQL."""

    def __init__(self, message: str, *, field: str | None = None, span: Span | None = None) -> None:
        super().__init__(message, field=field)
        self.span = span  # where in the SQL (of a query that failed: in what ran), if that can be told
