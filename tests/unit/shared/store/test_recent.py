"""What need not be fetched and checked twice."""

from datetime import UTC, datetime

from shared.store import codec
from shared.store.codec import Head, Picture
from shared.store.recent import MAX_BODY_BYTES, Recent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def picture(body: bytes) -> Picture:
    return Picture(Head(1, "e", "image/png", len(body), "d", NOW, NOW, codec.sha256(body)), body)


def test_what_was_read_last_is_found_under_its_key_alone() -> None:
    recent, first, second = Recent(), picture(b"first"), picture(b"second")
    recent.keep("k", first)
    recent.keep("k", second)
    assert recent.find("k") is second
    assert recent.find("other") is None


def test_a_large_picture_is_not_kept_and_its_predecessor_goes() -> None:
    recent = Recent()
    recent.keep("k", picture(b"small"))
    recent.keep("k", picture(bytes(MAX_BODY_BYTES + 1)))
    assert recent.find("k") is None


def test_above_its_bound_those_read_first_go() -> None:
    recent = Recent(max_bytes=100)
    for number in range(20):
        recent.keep("twice", picture(bytes(10)))
        recent.keep(f"k{number}", picture(bytes(10)))
    assert recent.find("k10") is None
    assert recent.find("k11") is not None
    assert recent.find("twice") is not None
