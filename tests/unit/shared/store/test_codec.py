"""The items' form: what is written is read, and what cannot be read is a miss."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.store import codec
from shared.store.codec import Head, Picture, State, Status
from shared.store.port import MAX_VALUE_BYTES

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HEAD = Head(7, "e" * 32, "image/png", 5, "digest", NOW, NOW + timedelta(days=7), codec.sha256(b"a\nb\nc"))
STATE = State(Status.ERROR, 7, NOW, NOW, "not_ready", "Ein Grund: “zu spät”", NOW + timedelta(seconds=60), "worker-1")


def test_a_head_is_read_back() -> None:
    head = replace(HEAD, chunks=("a" * 64, "b" * 64))
    assert codec.decode_head(codec.encode_head(head)) == head


def test_a_head_without_a_flaw_can_be_read_by_who_knows_none() -> None:
    assert b"flaw" not in codec.encode_head(HEAD)
    flawed = replace(HEAD, flaw="1 of 3 charts failed.")
    assert codec.decode_head(codec.encode_head(flawed)) == flawed


def test_a_record_carries_its_body_with_its_newlines() -> None:
    assert codec.decode_record(codec.encode_record(HEAD, b"a\nb\nc")) == Picture(HEAD, b"a\nb\nc")


def test_a_record_with_chunks_carries_no_body() -> None:
    head = replace(HEAD, chunks=("a" * 64,))
    assert codec.decode_record(codec.encode_record(head, b"a\nb\nc")) == Picture(head, b"")


@pytest.mark.parametrize("state", [STATE, State(Status.PENDING, 1, NOW, NOW)])
def test_a_state_is_read_back(state: State) -> None:
    assert codec.decode_state(codec.encode_state(state)) == state


@pytest.mark.parametrize(
    "value", [b"", b"\n", b"{", b"[]", b"{}", b"7", b"\xff\n", b'{"generation":1,"unknown":2}\nbody']
)
def test_what_cannot_be_read_is_a_miss(value: bytes) -> None:
    assert codec.decode_head(value) is None
    assert codec.decode_record(value) is None
    assert codec.decode_state(value) is None


def test_an_unknown_status_is_a_miss() -> None:
    assert codec.decode_state(codec.encode_state(STATE).replace(b'"Error"', b'"Wondering"')) is None


def test_a_body_fits_up_to_the_byte() -> None:
    room = MAX_VALUE_BYTES - len(codec.encode_head(replace(HEAD, size=999_999))) - 1
    assert codec.fits(replace(HEAD, size=room))
    assert not codec.fits(replace(HEAD, size=room + 1))
    assert len(codec.encode_record(replace(HEAD, size=room), bytes(room))) <= MAX_VALUE_BYTES


def test_split_loses_no_byte() -> None:
    body = bytes(range(251)) * 10_000
    pieces = list(codec.split(body))
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) == MAX_VALUE_BYTES


def test_a_picture_is_fresh_with_the_same_digest_until_its_time() -> None:
    assert HEAD.is_fresh("digest", NOW)
    assert not HEAD.is_fresh("another", NOW)
    assert not HEAD.is_fresh("digest", HEAD.fresh_until)


def test_a_running_state_is_live_until_its_deadline() -> None:
    pending = State(Status.PENDING, 1, NOW, NOW + timedelta(seconds=9))
    assert pending.is_live(NOW)
    assert not pending.is_live(pending.deadline)
    assert not STATE.is_live(NOW)


def test_an_error_holds_back_until_its_retry() -> None:
    assert STATE.retry_at is not None
    assert STATE.holds_back(NOW)
    assert not STATE.holds_back(STATE.retry_at)
    assert not replace(STATE, retry_at=None).holds_back(NOW)
