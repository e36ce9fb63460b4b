import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.store.data import DataEntries, Entry
from shared.store.memory import Memory


def entry(body=b'{"data":[]}', *, fresh_s=60.0, warmed_by=""):
    now = datetime.now(UTC)
    return Entry(body, now, now, now + timedelta(seconds=fresh_s), warmed_by)


@pytest.fixture
def kv():
    return Memory()


@pytest.fixture
def entries(kv):
    return DataEntries(kv, "p_", stale_s=60)


async def test_what_was_put_is_read(entries):
    kept = entry(warmed_by="run-1")
    await entries.put("k", kept)
    assert await entries.read("k") == kept
    assert await entries.read("other") is None


async def test_rows_larger_than_one_item_are_kept_in_chunks_and_a_lost_one_is_a_miss(entries, kv):
    large = entry(random.Random(1).randbytes(2_500_000))
    await entries.put("k", large)
    assert await entries.read("k") == large
    chunks = [key for _, key in kv.calls if ":chunk:" in key]
    await kv.delete(chunks[0])
    assert await entries.read("k") is None


@pytest.mark.parametrize("damage", [b"nonsense", b"{}\n", b'{"chunks": []}\nx', b""])
async def test_what_cannot_be_read_is_a_miss(entries, kv, damage):
    await kv.set("p_data:k", damage, 60)
    assert await entries.read("k") is None


async def test_flipped_bytes_are_a_miss(entries, kv):
    await entries.put("k", entry())
    value = await kv.get("p_data:k")
    await kv.set("p_data:k", value[:-1] + bytes([value[-1] ^ 1]), 60)
    assert await entries.read("k") is None


async def test_an_entry_past_its_staleness_is_a_miss(entries):
    await entries.put("k", entry(fresh_s=-61))
    assert await entries.read("k") is None


async def test_one_flight_at_a_time_and_a_landed_one_makes_room(entries):
    mine, won = await entries.take_off("k")
    other, also = await entries.take_off("k")
    assert (won, also, other.owner) == (True, False, mine.owner)
    await entries.land("k", mine, code="landed")
    assert (await entries.take_off("k"))[1]


async def test_a_flight_that_was_taken_over_changes_nothing_any_more(entries, kv):
    lost, _ = await entries.take_off("k")
    await kv.delete("p_data:k:flight")
    new, _ = await entries.take_off("k")
    assert not await entries.go_on("k", lost)
    await entries.land("k", lost, code="landed")
    assert await entries.flight("k") == new
