"""Places in SQL as people count them: lines and columns from 1."""

from __future__ import annotations

from typing import NamedTuple

from shared.errors import Span

MAX_FRAGMENT = 80


class Place(NamedTuple):
    """Where something stands: line and column from 1, offsets of characters from 0, and the text there."""

    line: int
    column: int
    start: int
    end: int
    fragment: str


def place_of(sql: str, span: Span) -> Place:
    """The place of a span of this text; one that reaches beyond it is cut off."""
    start = max(0, min(span.start, len(sql)))
    end = max(start, min(span.end, len(sql)))
    before = sql[:start]
    line = before.count("\n") + 1
    return Place(line, start - (before.rfind("\n") + 1) + 1, start, end, sql[start:end][:MAX_FRAGMENT])
