"""Pictures and their generations, over the store that remembers."""

from datetime import timedelta

import pytest

from shared.errors import StoreUnavailable
from shared.store import codec
from shared.store.memory import Memory
from shared.store.pictures import Pictures
from shared.store.port import MAX_VALUE_BYTES
from tests.samples.pictures import KEY, claim, put, soon

LARGE = bytes(range(256)) * 10_000


class BadCas(Memory):
    """Loses every race."""

    async def cas(self, key: str, value: bytes, token: object, ttl_s: float) -> bool:
        return False


class TestStoring:
    async def test_a_picture_is_read_back_with_its_head(self, pictures: Pictures) -> None:
        head = await put(pictures)
        picture = await pictures.read(KEY)
        assert picture is not None
        assert (picture.head, picture.body) == (head, b"picture")
        assert await pictures.head(KEY) == head

    async def test_the_head_tells_all_about_the_picture(self, pictures: Pictures) -> None:
        rendered_at = soon(-5)
        head = await pictures.put(
            KEY, b"png", content_type="image/png", generation=3, digest="d", rendered_at=rendered_at
        )
        assert head is not None
        assert (head.generation, head.size, head.digest, head.content_type) == (3, 3, "d", "image/png")
        assert head.fresh_until == rendered_at + timedelta(seconds=600)
        assert codec.sha256(b"png").startswith(head.etag)
        assert '"' not in head.etag

    async def test_a_head_is_one_get_and_no_body(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures)
        kv.calls.clear()
        await pictures.head(KEY)
        assert list(kv.calls) == [("get", f"p_{KEY}:head")]

    async def test_a_small_picture_is_one_get(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures)
        kv.calls.clear()
        await pictures.read(KEY)
        assert list(kv.calls) == [("get", f"p_{KEY}")]

    async def test_chunks_are_written_first_and_the_head_last(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures, body=LARGE)
        written = [key for command, key in kv.calls if command in ("set", "add", "cas")]
        assert all(key.startswith("p_chunk:") for key in written[:-2])
        assert written[-2:] == [f"p_{KEY}", f"p_{KEY}:head"]

    async def test_a_picture_in_chunks_is_read_back(self, pictures: Pictures) -> None:
        head = await put(pictures, body=LARGE)
        assert head is not None
        assert len(head.chunks) == -(-len(LARGE) // MAX_VALUE_BYTES)
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == LARGE

    async def test_equal_pieces_are_kept_once(self, pictures: Pictures) -> None:
        await put(pictures, body=bytes(5 * MAX_VALUE_BYTES))
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == bytes(5 * MAX_VALUE_BYTES)

    async def test_a_lost_chunk_is_a_miss(self, kv: Memory, pictures: Pictures) -> None:
        head = await put(pictures, body=LARGE)
        assert head is not None
        await kv.delete(f"p_chunk:{head.chunks[1]}")
        assert await pictures.read(KEY) is None

    async def test_a_damaged_body_is_a_miss(self, kv: Memory, pictures: Pictures) -> None:
        head = await put(pictures)
        assert head is not None
        await kv.set(f"p_{KEY}", codec.encode_record(head, b"picturE"), 60)
        assert await pictures.read(KEY) is None

    async def test_a_picture_read_before_is_one_get_of_its_head(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures)
        first = await pictures.read(KEY)
        kv.calls.clear()
        assert await pictures.read(KEY) is first
        assert list(kv.calls) == [("get", f"p_{KEY}:head")]

    async def test_a_picture_read_before_is_read_anew_when_its_head_changed(self, pictures: Pictures) -> None:
        await put(pictures, 1, b"old")
        await pictures.read(KEY)
        await put(pictures, 2, b"new")
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == b"new"

    async def test_a_picture_whose_head_was_lost_is_as_the_store_has_it(self, kv: Memory, pictures: Pictures) -> None:
        head = await put(pictures)
        assert head is not None
        assert await pictures.read(KEY) is not None
        await kv.delete(f"p_{KEY}:head")
        assert await pictures.read(KEY) is not None
        await kv.set(f"p_{KEY}", codec.encode_record(head, b"picturE"), 60)
        assert await pictures.read(KEY) is None
        await kv.delete(f"p_{KEY}")
        assert await pictures.read(KEY) is None

    async def test_every_item_has_the_prefix(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures, body=LARGE)
        await claim(pictures)
        assert all(key.startswith("p_") for _, key in kv.calls)

    async def test_another_prefix_is_another_store(self, kv: Memory, pictures: Pictures) -> None:
        await put(pictures)
        assert await Pictures(kv, "q_", ttl_s=60, fresh_s=60).read(KEY) is None

    async def test_another_format_of_the_picture_stands_beside_it(self, pictures: Pictures) -> None:
        await put(pictures, body=b"png")
        await put(pictures, body=b"pdf", key=f"{KEY}.pdf")
        png, pdf = await pictures.read(KEY), await pictures.read(f"{KEY}.pdf")
        assert png is not None
        assert pdf is not None
        assert (png.body, pdf.body) == (b"png", b"pdf")


class TestGenerations:
    async def test_a_newer_generation_replaces_an_older_one(self, pictures: Pictures) -> None:
        await put(pictures, 1, b"old")
        assert await put(pictures, 2, b"new") is not None
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == b"new"

    async def test_an_older_generation_is_refused(self, pictures: Pictures) -> None:
        newer = await put(pictures, 2, b"new")
        assert await put(pictures, 1, b"old") is None
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == b"new"
        assert await pictures.head(KEY) == newer

    async def test_the_first_body_of_a_generation_stays(self, pictures: Pictures) -> None:
        first = await put(pictures, 1, b"first")
        assert await put(pictures, 1, b"second") == first
        picture = await pictures.read(KEY)
        assert picture is not None
        assert picture.body == b"first"

    @pytest.mark.parametrize("late", [1, 2])
    async def test_a_head_that_was_never_written_is_mended(self, kv: Memory, pictures: Pictures, late: int) -> None:
        written = await put(pictures, 2, b"new")
        await kv.delete(f"p_{KEY}:head")
        assert await put(pictures, late, b"late") == (written if late == 2 else None)
        assert await pictures.head(KEY) == written

    async def test_a_write_that_never_wins_its_race_raises(self) -> None:
        pictures = Pictures(BadCas(), "p_", ttl_s=60, fresh_s=60)
        await put(pictures, 1)
        with pytest.raises(StoreUnavailable, match="changed 50 times"):
            await put(pictures, 2)
