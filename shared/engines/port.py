"""What every engine can do. An engine is one database of the catalog, as queries that people write see it.

All calls block: they are for worker threads. A connection serves one thread, save `cancel`, which is for the others.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.catalog.sql import Dialect
from shared.engines.slots import Slots
from shared.engines.target import Target

if TYPE_CHECKING:  # URLs and errors are read by services that have no Arrow
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `type` in the database's own words."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """`kind` is table or view."""

    schema: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Tested:
    """A database that answered: what it says it is, and how long it took, in seconds."""

    server: str
    seconds: float
    warning: str = ""  # what its administrator should know


class Cursor(Protocol):
    """The answer to one statement; the next one may be executed once it is read to its end, or closed."""

    schema: pa.Schema | None  # None: a statement without rows, such as INSERT
    rowcount: int  # rows written; -1 where that means nothing

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of one schema, each of a few MiB at most; read once. Raises as `Connection.execute`."""
        ...

    def close(self) -> None:
        """Gives up what was not read."""
        ...


class Connection(Protocol):
    """One session, for one query."""

    server_id: str  # what the database calls it, for `Engine.kill`; "" where it ends with our process

    def execute(self, sql: str) -> Cursor:
        """One statement.

        Raises QueryFailed, QueryTimedOut, QueryCancelled, DatabaseUnavailable.
        """
        ...

    def cancel(self) -> None:
        """From any other thread: ends what runs, in the database itself; what runs next raises QueryCancelled too.

        Raises DatabaseUnavailable when the database cannot be told.
        """
        ...


class Session(Connection, Protocol):
    """A connection as its engine sees it."""

    def commit(self) -> None:
        """Ends the transaction; nothing to do where it only read."""
        ...

    def close(self) -> None: ...


class Engine(ABC):
    """Opens nothing before its first use; safe for many threads."""

    dialect: Dialect
    unit: str = ""  # what an estimate counts; "": it makes none

    def __init__(self, target: Target) -> None:
        self.name = target.name
        self._target = target
        self._slots = Slots(target.name, target.connections)

    @contextmanager
    def connect(
        self, *, schema: str = "", read_only: bool = True, timeout_s: float | None = None
    ) -> Iterator[Connection]:
        """A session: `schema` is where tables without one lie; `timeout_s` is for all that runs in it together.

        It may write when `read_only` is off and the database allows DML; then what it wrote is committed at the end of
        the block, and only if nothing was raised in it. Raises DatabaseUnavailable.
        """
        deadline = Deadline(timeout_s or self._target.timeout_s)
        with self._slots.one():
            session = self._session(schema, deadline, reads_only=self._target.reads_only(read_only))
            try:
                yield session
                session.commit()
            finally:
                session.close()

    def close(self) -> None:
        """No new sessions; what runs may end."""
        self._slots.close()

    @abstractmethod
    def _session(self, schema: str, deadline: Deadline, *, reads_only: bool) -> Session:
        """Opens one, in a transaction; `schema` "" is the usual one."""

    def estimate(self, sql: str, *, schema: str = "", read_only: bool = True) -> float | None:
        """As `estimate_in`, in a session of its own."""
        with self.connect(schema=schema, read_only=read_only, timeout_s=self._target.look_s) as connection:
            return self.estimate_in(connection, sql)

    @abstractmethod
    def estimate_in(self, connection: Connection, sql: str) -> float | None:
        """What the database expects a query to cost, in `unit`; None where it cannot tell. It does not run.

        Raises QueryTooCostly above the database's `max_cost`, QueryFailed, DatabaseUnavailable.
        """

    @abstractmethod
    def kill(self, server_id: str) -> bool:
        """Ends a session that a dead worker left behind; False when there is none any more."""

    @abstractmethod
    def schemas(self) -> list[str]:
        """Those that people make, sorted."""

    @abstractmethod
    def tables(self, schema: str = "") -> list[Table]:
        """Tables and views of a schema, sorted; "" is the usual one."""

    @abstractmethod
    def columns(self, table: str, schema: str = "") -> list[Column]:
        """In their order; none if there is no such table."""

    @abstractmethod
    def test(self) -> Tested:
        """Connects and asks. Raises DatabaseUnavailable with the reason."""


class Deadline:
    """When a session must have ended."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._at = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return max(self._at - time.monotonic(), 0.001)

    @property
    def left_ms(self) -> int:
        return max(int(self.left_s * 1000), 1)

    @property
    def overdue_s(self) -> float:
        return time.monotonic() - self._at

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._at
