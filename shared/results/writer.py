"""Writes one result set: chunks as rows come, then everything read back, then the head."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import structlog

from shared.errors import InvalidInput, ResultsUnavailable, ResultTooLarge
from shared.results.envelope import DIGEST_BYTES, Chunk, Form, Head, digest, dump_chunk, dump_head
from shared.results.port import Calls

log = structlog.get_logger(__name__)
CHUNK_BYTES = 4 * 2**20  # of rows in memory: what a reader holds at once, and reads for one page
CHUNK_ROWS = 65_536
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Stored:
    """What was kept, whole and read back. `bytes` as kept, compressed."""

    key: str
    rows: int
    bytes: int
    chunks: int


class Writer:
    """For one thread; holds the rows of one chunk. Made by `ResultSets.writer`."""

    def __init__(
        self,
        backend: Calls,
        key: str,
        schema: pa.Schema,
        *,
        ttl_s: float,
        writing_s: float,
        form: Form,
        max_bytes: int,
    ) -> None:
        self.stored: Stored | None = None
        self.rows = 0
        self._backend = backend
        self._ttl_s = ttl_s
        self._chunk_ttl_s = ttl_s + writing_s  # the first chunk waits for the last one
        self._max_bytes = max_bytes
        self._chunks: list[Chunk] = []
        now = datetime.now(UTC)  # the times that count are those of the commit
        self._head = Head(key, form, secrets.token_hex(6), schema, now, now, ())
        self._pending: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Any number of rows; whole chunks are written at once.

        Raises ResultTooLarge, ResultsUnavailable, or InvalidInput for a batch of another schema.
        """
        if not batch.schema.equals(self._head.schema):
            raise InvalidInput(f"A batch has the columns {batch.schema.names}, not {self._head.schema.names}.")
        self.rows += batch.num_rows
        self._pending.append(batch)
        while self._is_chunk():
            self._write_chunk()

    def commit(self) -> Stored:
        """Reads every chunk back and then writes the head.

        Raises ResultTooLarge, or ResultsUnavailable when a chunk is not what was written: nothing is kept then.
        """
        while any(batch.num_rows for batch in self._pending):
            self._write_chunk()
        now = datetime.now(UTC)
        head = replace(self._finished(), created_at=now, expires_at=now + timedelta(seconds=self._ttl_s))
        for number in range(len(head.chunks)):
            self._read_back(head, number)
        value = dump_head(head)
        if len(value) > self._backend.max_item_bytes:
            raise ResultTooLarge(
                f"The result set has {len(head.schema)} columns and {len(head.chunks)} parts, more than this results "
                "backend can list. Ask for fewer columns or rows.",
                over_bytes=len(value) - self._backend.max_item_bytes,
            )
        self._backend.put(f"{head.key}/head", value, self._ttl_s)
        self.stored = Stored(head.key, head.rows, head.bytes, len(head.chunks))
        return self.stored

    def abort(self) -> None:
        """Deletes what was written. A backend that does not answer keeps it until its time ends; nobody finds it."""
        self._pending.clear()
        head = self._finished()
        try:
            self._backend.delete([name for number in range(len(head.chunks)) for name in head.names(number)])
        except ResultsUnavailable as error:
            log.warning("results_not_deleted", key=head.key, reason=error.message)

    def _finished(self) -> Head:
        return replace(self._head, chunks=tuple(self._chunks))

    def _is_chunk(self) -> bool:
        size, rows = (sum(getattr(batch, what) for batch in self._pending) for what in ("nbytes", "num_rows"))
        return bool(size >= CHUNK_BYTES or rows >= CHUNK_ROWS)

    def _write_chunk(self) -> None:
        """The first rows of what is pending, about CHUNK_BYTES of them and one at least."""
        batch = pa.concat_batches(self._pending) if len(self._pending) > 1 else self._pending[0]
        fit = max(1, batch.num_rows * CHUNK_BYTES // max(batch.nbytes, 1))
        rows = min(batch.num_rows, fit, CHUNK_ROWS)
        self._pending = [batch.slice(rows)] if rows < batch.num_rows else []
        value = dump_chunk(batch.slice(0, rows), self._head.form)
        step = self._backend.max_item_bytes
        parts = [value[start : start + step] for start in range(0, len(value), step)]
        self._chunks.append(Chunk(rows, len(value), digest(value), len(parts)))
        self._check_size()
        names = self._finished().names(len(self._chunks) - 1)
        for name, part in zip(names, parts, strict=True):
            self._backend.put(name, part, self._chunk_ttl_s)

    def _check_size(self) -> None:
        head = self._finished()
        over = head.bytes - self._max_bytes
        if over > 0:
            raise ResultTooLarge(
                f"The result set takes {_mib(head.bytes)} MiB after {head.rows:,} rows: {_mib(over)} MiB more than the "
                f"{_mib(self._max_bytes)} MiB of VITRINE_RESULTS_MAX_MIB. Ask for fewer rows or columns.",
                over_bytes=over,
            )

    def _read_back(self, head: Head, number: int) -> None:
        seen = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for name in head.names(number):
            part = self._backend.get(name)
            if part is None:
                raise ResultsUnavailable(
                    f"The results backend did not keep part {number + 1} of {len(head.chunks)} of the rows. Is it full "
                    "(evictions), or was it restarted meanwhile? See VITRINE_RESULTS_URL."
                )
            seen.update(part)
        if seen.hexdigest() != head.chunks[number].digest:
            raise ResultsUnavailable(
                f"The results backend gave back other bytes for part {number + 1} of {len(head.chunks)} than it was "
                "given. See VITRINE_RESULTS_URL."
            )


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f}"
