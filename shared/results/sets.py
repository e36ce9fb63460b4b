"""Result sets: written whole or not at all, read a chunk at a time. Over any backend."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa
import structlog

from shared.errors import ResultsGone, ResultsUnavailable, UnknownVersion
from shared.results import envelope
from shared.results.envelope import Form, Head
from shared.results.port import Backend, Calls, check_key
from shared.results.writer import Stored, Writer

__all__ = ["Head", "ResultSets", "Stored", "Writer"]

log = structlog.get_logger(__name__)
SWEEP_S = 600.0  # at most this often in one process
PAGE_BYTES = 16 * 2**20  # of rows in memory: a page ends with the chunk that reaches it


class ResultSets:
    """Safe for many threads. What does not answer raises ResultsUnavailable, in every method.

    `max_bytes`: the largest result set, as kept.
    """

    def __init__(self, backend: Backend, *, form: Form = Form.ARROW, max_bytes: int) -> None:
        self._calls = Calls(backend)
        self._form = form
        self._max_bytes = max_bytes
        self._swept_at = time.monotonic()
        self._sweeping = threading.Lock()

    @contextmanager
    def writer(self, key: str, schema: pa.Schema, ttl_s: float, *, writing_s: float = 0.0) -> Iterator[Writer]:
        """A result set in the making. Unless the block commits it, what it wrote is deleted again.

        `ttl_s` counts from the commit; `writing_s` is how long it may be until then. Raises InvalidInput for a key that
        is none.
        """
        check_key(key)
        form, most = self._form, self._max_bytes
        writer = Writer(self._calls, key, schema, ttl_s=ttl_s, writing_s=writing_s, form=form, max_bytes=most)
        try:
            yield writer
        finally:
            if writer.stored is None:
                writer.abort()
        self._sweep()

    def head(self, key: str) -> Head:
        """Raises ResultsGone, or UnknownVersion for one that a newer release wrote."""
        value = self._calls.get(_head(key))
        if value is None:
            raise _gone(key, "they were never kept, have outlived their time, or made room for others")
        head = envelope.load_head(key, value)
        if head.expires_at <= datetime.now(UTC):
            raise _gone(key, "they have outlived their time")
        return head

    def batches(self, key: str, first_row: int = 0) -> Iterator[pa.RecordBatch]:
        """The rows from that one on, with one chunk in memory at a time; at least one batch, empty if there are none.

        Raises ResultsGone at the first chunk that is not there, or not what was written: never other rows.
        """
        head = self.head(key)
        yield from self._batches(head, first_row)

    def page(self, key: str, offset: int, limit: int) -> pa.Table:
        """These rows; reads the head and the chunks that hold them. Raises ResultsGone.

        Fewer at the end, and where they are wide: no more chunks than come to PAGE_BYTES, one at least.
        """
        head = self.head(key)
        found: list[pa.RecordBatch] = []
        size = 0
        for batch in self._slices(head, offset, offset + limit):
            found.append(batch)
            size += batch.nbytes
            if size >= PAGE_BYTES:
                break
        return pa.Table.from_batches(found, schema=head.schema)

    def delete(self, key: str) -> None:
        """The head first, so that nobody finds half of it. What is not there is no error."""
        try:
            head = self.head(key)
        except (ResultsGone, UnknownVersion):
            self._calls.delete([_head(key)])
            return
        self._calls.delete([_head(key)])
        self._calls.delete([name for number in range(len(head.chunks)) for name in head.names(number)])

    def check(self) -> str:
        """One line on the backend. Raises ResultsUnavailable with the reason."""
        return self._calls.check()

    def close(self) -> None:
        self._calls.close()

    def _batches(self, head: Head, first_row: int) -> Iterator[pa.RecordBatch]:
        found = False
        for batch in self._slices(head, first_row, head.rows):
            found = True
            yield batch
        if not found:
            empty = [column.combine_chunks() for column in head.schema.empty_table().columns]
            yield pa.RecordBatch.from_arrays(empty, schema=head.schema)

    def _slices(self, head: Head, first: int, end: int) -> Iterator[pa.RecordBatch]:
        offsets = head.offsets
        for number in range(max(0, bisect_right(offsets, first) - 1), len(offsets)):
            start = offsets[number]
            if start >= end:
                return
            batch = self._chunk(head, number)
            low, high = max(0, first - start), min(batch.num_rows, end - start)
            if low < high:
                yield batch.slice(low, high - low)

    def _chunk(self, head: Head, number: int) -> pa.RecordBatch:
        parts = []
        for name in head.names(number):
            part = self._calls.get(name)
            if part is None:
                raise _gone(head.key, f"part {number + 1} of {len(head.chunks)} is missing")
            parts.append(part)
        value = parts[0] if len(parts) == 1 else b"".join(parts)
        if envelope.digest(value) != head.chunks[number].digest:
            log.warning("results_chunk_damaged", key=head.key, chunk=number)
            raise _gone(head.key, f"part {number + 1} of {len(head.chunks)} is damaged")
        return envelope.load_chunk(value, head)

    def _sweep(self) -> None:
        """Now and then, by whoever has just written; its failure is not theirs."""
        if time.monotonic() - self._swept_at < SWEEP_S or not self._sweeping.acquire(blocking=False):
            return
        try:
            self._swept_at = time.monotonic()
            self._calls.sweep()
        except ResultsUnavailable as error:
            log.warning("results_not_swept", reason=error.message)
        finally:
            self._sweeping.release()


def _head(key: str) -> str:
    return f"{check_key(key)}/head"


def _gone(key: str, why: str) -> ResultsGone:
    return ResultsGone(f"The rows of {key} are gone: {why}. Run the query again.")
