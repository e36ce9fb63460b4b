"""Result sets in memory, and rows for them."""

import pyarrow as pa
import pytest

from shared.results.memory import MemoryResults
from shared.results.sets import ResultSets

MIB = 2**20


def rows(count: int, first: int = 0) -> pa.RecordBatch:
    """About 100 bytes a row."""
    numbers = range(first, first + count)
    texts = pa.array([f"{number:090d}" for number in numbers], pa.string())
    return pa.record_batch({"n": pa.array(numbers, pa.int64()), "text": texts})


@pytest.fixture
def memory() -> MemoryResults:
    return MemoryResults()


@pytest.fixture
def sets(memory: MemoryResults) -> ResultSets:
    return ResultSets(memory, max_bytes=64 * MIB)


def keep(sets: ResultSets, batch: pa.RecordBatch, key: str = "k", *, ttl_s: float = 60) -> None:
    with sets.writer(key, batch.schema, ttl_s) as writer:
        writer.add(batch)
        writer.commit()
