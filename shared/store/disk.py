"""The store in one SQLite file: the embedded default, shared by all processes of one machine.

SQLite runs in threads of our own, each with its own connection. Every command is one statement, so SQLite's own lock
makes it atomic across processes. A row is one item; `token` changes with every write.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import StoreUnavailable
from shared.store.port import MAX_VALUE_BYTES, NodeStats, check_key

T = TypeVar("T")
THREADS = 4
BUSY_S = 3.0
MAX_BYTES = 2 * 2**30
PRUNE_EVERY = 64  # writes of one process
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, token INTEGER NOT NULL, expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS items_expires_at ON items (expires_at);
"""
_SET = """
INSERT INTO items (key, value, token, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, token = excluded.token, expires_at = excluded.expires_at
"""
_ADD = f"{_SET} WHERE items.expires_at <= ?"
_CAS = "UPDATE items SET value = ?, token = ?, expires_at = ? WHERE key = ? AND token = ? AND expires_at > ?"
_EVICT = "DELETE FROM items WHERE rowid IN (SELECT rowid FROM items ORDER BY expires_at LIMIT 32)"


class Disk:
    """A KeyValue. Above `max_bytes` the rows that expire soonest go first; the file keeps its size for reuse."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._writes = 0
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="store-disk")

    async def get(self, key: str) -> bytes | None:
        found = await self.gets(key)
        return found[0] if found else None

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        found = await self._run(lambda db: {key: _select(db, key) for key in keys})
        return {key: row[0] for key, row in found.items() if row}

    async def gets(self, key: str) -> tuple[bytes, Any] | None:
        return await self._run(lambda db: _select(db, key))

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        now = time.time()
        await self._run(lambda db: self._write(db, _SET, check_key(key), value, _token(), now + ttl_s))

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        now = time.time()
        return await self._run(lambda db: self._write(db, _ADD, check_key(key), value, _token(), now + ttl_s, now))

    async def cas(self, key: str, value: bytes, token: Any, ttl_s: float) -> bool:
        now = time.time()
        return await self._run(
            lambda db: self._write(db, _CAS, value, _token(), now + ttl_s, check_key(key), token, now)
        )

    async def delete(self, key: str) -> None:
        await self._run(lambda db: db.execute("DELETE FROM items WHERE key = ?", (check_key(key),)).rowcount)

    async def forget(self, suffix: str) -> None:
        """Delete all items whose key ends so; for whoever owns the whole file."""
        await self._run(
            lambda db: db.execute("DELETE FROM items WHERE substr(key, ?) = ?", (-len(suffix), suffix)).rowcount
        )

    async def check(self) -> str:
        used = await self._run(_used_bytes)
        return f"SQLite {sqlite3.sqlite_version} at {self._path}, {used / 2**20:.1f} MiB in use"

    async def stats(self) -> list[NodeStats]:
        try:
            items, used = await self._run(
                lambda db: (db.execute("SELECT count(*) FROM items").fetchone()[0], _used_bytes(db))
            )
        except StoreUnavailable as error:
            return [NodeStats("disk", False, reason=error.message)]
        return [NodeStats("disk", True, items, used, self._max_bytes)]

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def _run(self, command: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._attempt, command)

    def _attempt(self, command: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return command(self._connection())
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"The store's file {self._path} does not answer: {error}. Check the folder's rights and free space; "
                "the file is a cache and may be deleted."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is None:
            existing = _connect(self._path)
            self._local.connection = existing
            self._connections.append(existing)
        return existing

    def _write(self, db: sqlite3.Connection, statement: str, *row: Any) -> bool:
        """Whether a row changed."""
        for value in row:
            if isinstance(value, bytes) and len(value) > MAX_VALUE_BYTES:
                raise StoreUnavailable(f"A value of {len(value)} bytes is larger than the store takes.")
        changed = db.execute(statement, row).rowcount > 0
        self._writes += 1  # two threads may count one write: it only decides how often we prune
        if self._writes % PRUNE_EVERY == 1:
            _prune(db, self._max_bytes)
        return changed


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # pictures show data that not every user of the machine may see; SQLite's side files follow
    # Used by one thread only, closed by another once that one has ended.
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _into_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _into_wal(db: sqlite3.Connection) -> None:
    """SQLite does not wait its busy timeout when several connections turn a new file to WAL at once."""
    give_up = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _select(db: sqlite3.Connection, key: str) -> tuple[bytes, int] | None:
    query = "SELECT value, token FROM items WHERE key = ? AND expires_at > ?"
    row: tuple[bytes, int] | None = db.execute(query, (check_key(key), time.time())).fetchone()
    return row


def _used_bytes(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _prune(db: sqlite3.Connection, max_bytes: int) -> None:
    db.execute("DELETE FROM items WHERE expires_at <= ?", (time.time(),))
    while _used_bytes(db) > max_bytes:
        if not db.execute(_EVICT).rowcount:
            return


def _token() -> int:
    return secrets.randbits(63)
