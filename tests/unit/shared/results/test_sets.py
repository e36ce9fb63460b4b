"""Whole or not at all; a chunk at a time; never other rows than those that were written."""

from datetime import UTC, datetime

import msgpack
import pyarrow as pa
import pytest

from shared.errors import InvalidInput, ResultsGone, UnknownVersion
from shared.results.envelope import Form
from shared.results.memory import MemoryResults
from shared.results.sets import PAGE_BYTES, ResultSets
from tests.harness import wait_until
from tests.unit.shared.results.conftest import keep, rows


def chunk_reads(memory: MemoryResults) -> list[str]:
    return [name for method, name in memory.calls if method == "get" and not name.endswith("/head")]


def test_the_head_tells_all_but_the_rows(sets: ResultSets) -> None:
    keep(sets, rows(100_000), ttl_s=60)
    head = sets.head("k")
    assert head.rows == 100_000
    assert head.schema == rows(0).schema
    assert head.offsets[:1] == (0,)
    assert 0 < head.bytes < rows(100_000).nbytes
    assert 50 < (head.expires_at - datetime.now(UTC)).total_seconds() <= 60


def test_rows_come_back_in_order_from_any_row_on(sets: ResultSets) -> None:
    keep(sets, rows(100_000))
    for first in (0, 1, sets.head("k").offsets[1], 99_999):
        assert pa.Table.from_batches(sets.batches("k", first)).to_batches()[0].num_rows
        read = pa.Table.from_batches(sets.batches("k", first)).combine_chunks()
        assert read == pa.Table.from_batches([rows(100_000 - first, first)])


@pytest.mark.parametrize("first", [0, 7, 10**9])
def test_no_rows_are_one_empty_batch_with_the_columns(sets: ResultSets, first: int) -> None:
    keep(sets, rows(7 if first else 0))
    (batch,) = sets.batches("k", first)
    assert batch == rows(0)


def test_the_first_page_reads_one_chunk_of_many(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(200_000))
    chunks = len(sets.head("k").chunks)
    memory.calls.clear()
    page = sets.page("k", 0, 1000)
    assert page == pa.Table.from_batches([rows(1000)])
    assert len(chunk_reads(memory)) == 1 < chunks


def test_a_page_across_two_chunks_reads_these_two(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(200_000))
    edge = sets.head("k").offsets[2]
    memory.calls.clear()
    assert sets.page("k", edge - 5, 10).combine_chunks() == pa.Table.from_batches([rows(10, edge - 5)])
    assert len(chunk_reads(memory)) == 2


def test_a_page_of_wide_rows_is_bounded_in_bytes_and_the_next_one_goes_on(sets: ResultSets) -> None:
    wide = pa.record_batch({"n": range(80), "text": ["y" * 10**6] * 80})  # 80 MB, and next to nothing compressed
    keep(sets, wide)
    seen: list[int] = []
    while page := sets.page("k", len(seen), 10_000):
        assert page.nbytes < 2 * PAGE_BYTES
        seen += page.column("n").to_pylist()
    assert seen == list(range(80))


@pytest.mark.parametrize(("offset", "limit", "count"), [(95, 10, 5), (100, 10, 0), (10**9, 10, 0), (0, 0, 0)])
def test_a_page_beyond_the_end_is_short(sets: ResultSets, offset: int, limit: int, count: int) -> None:
    keep(sets, rows(100))
    page = sets.page("k", offset, limit)
    assert page.num_rows == count
    assert page.schema == rows(0).schema


def test_batches_read_a_chunk_only_when_it_is_asked_for(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(200_000))
    memory.calls.clear()
    batches = sets.batches("k")
    next(batches)
    assert len(chunk_reads(memory)) == 1


def test_an_unknown_key_is_gone(sets: ResultSets) -> None:
    for read in (lambda: sets.head("k"), lambda: next(sets.batches("k")), lambda: sets.page("k", 0, 1)):
        with pytest.raises(ResultsGone, match="rows of k are gone"):
            read()


def test_what_outlived_its_time_is_gone_even_if_the_backend_still_has_it(memory: MemoryResults) -> None:
    sets = ResultSets(memory, max_bytes=2**20)
    with sets.writer("k", rows(1).schema, 0.3) as writer:
        writer.add(rows(1))
        writer.commit()
    value = memory.get("k/head")
    assert value is not None
    memory.put("k/head", value, 60)
    wait_until(lambda: gone(sets), 5, "the result set to end")


def gone(sets: ResultSets) -> bool:
    try:
        sets.head("k")
    except ResultsGone:
        return True
    return False


def test_an_evicted_chunk_is_gone_and_no_row_of_it_or_after_it_comes(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(200_000))
    memory.delete(sets.head("k").names(1))
    batches = sets.batches("k")
    assert next(batches).num_rows == sets.head("k").chunks[0].rows
    with pytest.raises(ResultsGone, match="part 2 of"):
        next(batches)
    assert sets.page("k", 0, 10).num_rows == 10
    with pytest.raises(ResultsGone):
        sets.page("k", sets.head("k").offsets[1] - 1, 10)


@pytest.mark.parametrize("damage", [lambda v: v[:-1] + bytes([v[-1] ^ 1]), lambda v: v[: len(v) // 2], lambda v: b""])
def test_a_damaged_chunk_is_gone(sets: ResultSets, memory: MemoryResults, damage) -> None:
    keep(sets, rows(10))
    (name,) = sets.head("k").names(0)
    value = memory.get(name)
    memory.put(name, damage(value), 60)
    with pytest.raises(ResultsGone, match="damaged"):
        sets.page("k", 0, 10)


@pytest.mark.parametrize("value", [b"", b"{", b"\x81\xa1v\x01", b'{"v": 1}', b"\xc1", b"[]"])
def test_a_damaged_head_is_gone(sets: ResultSets, memory: MemoryResults, value: bytes) -> None:
    memory.put("k/head", value, 60)
    with pytest.raises(ResultsGone, match="damaged"):
        sets.head("k")
    sets.delete("k")
    assert memory.names() == []


@pytest.mark.parametrize("value", [msgpack.packb({"v": 2, "new": True}), b'{"v": 2, "new": true}'])
def test_a_newer_form_is_told_with_what_to_do(sets: ResultSets, memory: MemoryResults, value: bytes) -> None:
    memory.put("k/head", value, 60)
    with pytest.raises(UnknownVersion, match=r"form 2; this process reads up to 1\. Upgrade it"):
        sets.head("k")


def test_delete_leaves_nothing(sets: ResultSets, memory: MemoryResults) -> None:
    keep(sets, rows(100_000))
    keep(sets, rows(1), "other")
    sets.delete("k")
    sets.delete("k")
    assert {name.split("/")[0] for name in memory.names()} == {"other"}


def test_what_one_form_wrote_is_read_whatever_the_settings_say_now(memory: MemoryResults) -> None:
    for written, read in [(Form.ARROW, Form.JSON), (Form.JSON, Form.ARROW)]:
        keep(ResultSets(memory, form=written, max_bytes=2**20), rows(10))
        assert ResultSets(memory, form=read, max_bytes=2**20).page("k", 0, 10) == pa.Table.from_batches([rows(10)])


@pytest.mark.parametrize("key", ["", "a/b", "../x", "k" * 81, "é", "a b", "a\n"])
def test_a_key_that_a_backend_could_misread_is_refused(sets: ResultSets, key: str) -> None:
    with pytest.raises(InvalidInput, match="no results key"), sets.writer(key, rows(1).schema, 60):
        pass
    with pytest.raises(InvalidInput, match="no results key"):
        sets.head(key)
    with pytest.raises(InvalidInput, match="no results key"):
        sets.delete(key)
