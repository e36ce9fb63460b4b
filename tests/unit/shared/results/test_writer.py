"""What becomes of a result set in the making, when it is committed, left or refused."""

import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from shared.errors import InvalidInput, ResultsGone, ResultsUnavailable, ResultTooLarge
from shared.results.memory import MemoryResults
from shared.results.sets import ResultSets
from shared.results.writer import CHUNK_BYTES, CHUNK_ROWS
from tests.harness import wait_until
from tests.unit.shared.results.conftest import MIB, keep, rows


class ForgetfulResults(MemoryResults):
    """Takes everything, and keeps no chunk."""

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        if name.endswith("/head"):
            super().put(name, value, ttl_s)


class GarblingResults(MemoryResults):
    """Gives back other bytes than it was given."""

    def get(self, name: str) -> bytes | None:
        value = super().get(name)
        return value and value[:-1] + bytes([value[-1] ^ 1])


class FullResults(MemoryResults):
    """Refuses everything after the first `room` items."""

    room = 1

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        if len(self.names()) >= self.room:
            raise ResultsUnavailable("full")
        super().put(name, value, ttl_s)


def test_many_small_batches_become_chunks_of_a_bounded_size(sets: ResultSets) -> None:
    with sets.writer("k", rows(1).schema, 60) as writer:
        for first in range(0, 100_000, 100):
            writer.add(rows(100, first))
        stored = writer.commit()
    assert (stored.key, stored.rows) == ("k", 100_000)
    assert stored.bytes == sets.head("k").bytes
    assert stored.chunks == len(sets.head("k").chunks) == -(-rows(100_000).nbytes // CHUNK_BYTES)
    assert pa.Table.from_batches(sets.batches("k")).combine_chunks() == pa.Table.from_batches([rows(100_000)])


def test_rows_that_took_longer_to_write_than_they_are_kept_are_kept_all_the_same() -> None:
    kept = 0.5
    sets = ResultSets(MemoryResults(), max_bytes=64 * MIB)
    with sets.writer("k", rows(1).schema, kept, writing_s=60) as writer:
        writer.add(rows(CHUNK_ROWS))
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > kept, 10, "the first chunk to be older than that")
        stored = writer.commit()
        assert sets.head("k").expires_at > datetime.now(UTC)
        assert (stored.rows, sets.page("k", 0, 1).num_rows) == (CHUNK_ROWS, 1)


def test_one_large_batch_becomes_chunks_too(sets: ResultSets) -> None:
    narrow = pa.record_batch({"yes": pa.array([True] * (3 * CHUNK_ROWS))})
    keep(sets, narrow)
    assert [chunk.rows for chunk in sets.head("k").chunks] == [CHUNK_ROWS] * 3


def test_a_row_larger_than_an_item_is_cut_and_put_together(memory: MemoryResults) -> None:
    memory.max_item_bytes = 1000
    sets = ResultSets(memory, max_bytes=64 * MIB)
    batch = pa.record_batch({"blob": pa.array([b"", bytes(range(256)) * 20_000, b"x"])})
    keep(sets, batch)
    assert max(len(memory.get(name) or b"") for name in memory.names()) <= 1000
    assert pa.Table.from_batches(sets.batches("k")).combine_chunks() == pa.Table.from_batches([batch])


def test_without_a_commit_nothing_is_left(sets: ResultSets, memory: MemoryResults) -> None:
    with sets.writer("k", rows(1).schema, 60) as writer:
        writer.add(rows(100_000))
        assert memory.names()
    assert memory.names() == []


def test_an_exception_leaves_nothing_and_is_not_hidden(sets: ResultSets, memory: MemoryResults) -> None:
    def fail() -> None:
        with sets.writer("k", rows(1).schema, 60) as writer:
            writer.add(rows(100_000))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert memory.names() == []
    with pytest.raises(ResultsGone):
        sets.head("k")


def test_the_head_is_written_last_after_every_chunk_was_read_back(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(100_000))
    chunks = sum(1 for name in memory.names() if name != "k/head")
    assert [method for method, _ in memory.calls] == ["put"] * chunks + ["get"] * chunks + ["put"]
    written, read, last = memory.calls[:chunks], memory.calls[chunks:-1], memory.calls[-1]
    assert [name for _, name in read] == [name for _, name in written]
    assert last == ("put", "k/head")


@pytest.mark.parametrize(
    ("backend", "reason"), [(ForgetfulResults, "did not keep part 1"), (GarblingResults, "other bytes for part 1")]
)
def test_what_is_not_read_back_as_written_is_never_committed(backend: type[MemoryResults], reason: str) -> None:
    memory = backend()
    with pytest.raises(ResultsUnavailable, match=reason) as caught:
        keep(ResultSets(memory, max_bytes=64 * MIB), rows(10))
    assert caught.value.transient
    assert memory.names() == []


def test_a_backend_that_is_full_is_told_and_left_as_it_was() -> None:
    memory = FullResults()
    with pytest.raises(ResultsUnavailable, match="full"):
        keep(ResultSets(memory, max_bytes=64 * MIB), rows(100_000))
    assert memory.names() == []


def test_too_large_says_by_how_much_and_leaves_nothing(memory: MemoryResults) -> None:
    sets = ResultSets(memory, max_bytes=MIB // 4)
    with pytest.raises(ResultTooLarge, match=r"MiB more than the 0\.2 MiB of VITRINE_RESULTS_MAX_MIB") as caught:
        keep(sets, rows(200_000))
    assert 0 < caught.value.over_bytes < 2 * CHUNK_BYTES
    assert not caught.value.transient
    assert memory.names() == []


def test_a_batch_of_other_columns_is_refused(sets: ResultSets) -> None:
    with pytest.raises(InvalidInput, match="columns"), sets.writer("k", rows(1).schema, 60) as writer:
        writer.add(pa.record_batch({"other": [1]}))


def test_a_second_writing_replaces_the_first_as_a_whole(sets: ResultSets) -> None:
    keep(sets, rows(100_000))
    reading = sets.batches("k")
    next(reading)
    keep(sets, rows(5, 1000))
    assert pa.Table.from_batches(sets.batches("k")) == pa.Table.from_batches([rows(5, 1000)])
    assert sum(batch.num_rows for batch in reading)  # who reads the first one reads it to its end
