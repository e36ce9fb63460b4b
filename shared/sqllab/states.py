"""The states of a query, spelled as Superset spells them, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class QueryState(StrEnum):
    PENDING = "pending"  # a row, and a message for it in the queue, or soon
    SCHEDULED = "scheduled"  # in hand of a worker, which checks it and connects
    RUNNING = "running"  # in the database
    FETCHING = "fetching"  # its rows flow to the results backend
    SUCCESS = "success"
    FAILED = "failed"
    STOPPED = "stopped"  # somebody stopped it
    TIMED_OUT = "timed_out"


ENDS = frozenset({QueryState.SUCCESS, QueryState.FAILED, QueryState.STOPPED, QueryState.TIMED_OUT})
HELD = frozenset({QueryState.SCHEDULED, QueryState.RUNNING, QueryState.FETCHING})  # under a worker's lease
_NOT_WELL = ENDS - {QueryState.SUCCESS}

# Back to pending only from where nothing was sent to the database: a query is never run twice.
FOLLOWS: dict[QueryState, frozenset[QueryState]] = {
    QueryState.PENDING: frozenset({QueryState.SCHEDULED}) | _NOT_WELL,
    QueryState.SCHEDULED: frozenset({QueryState.RUNNING, QueryState.PENDING}) | _NOT_WELL,
    QueryState.RUNNING: frozenset({QueryState.FETCHING}) | ENDS,
    QueryState.FETCHING: frozenset({QueryState.RUNNING}) | ENDS,  # running: the next statement of the script
    **dict.fromkeys(ENDS, frozenset[QueryState]()),
}


def before(state: QueryState) -> list[str]:
    """The states that `state` may follow: what a compare-and-set looks for."""
    return [earlier.value for earlier, later in FOLLOWS.items() if state in later]
