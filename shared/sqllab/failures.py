"""The error that a query ended with, made again for whoever waits for it."""

from __future__ import annotations

from shared.errors import BY_CODE, QueryFailed, VitrineError
from shared.metadata.models import Query


def failure_of(query: Query) -> VitrineError | None:
    """None for one that succeeded, or has not ended."""
    if not query.code:
        return None
    kind = BY_CODE.get(query.code, QueryFailed)
    error = kind.__new__(kind)  # its class says what it is; what else its constructor takes is in the reason
    VitrineError.__init__(error, query.reason)
    return error
