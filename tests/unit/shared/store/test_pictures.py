"""Pictures over the store that remembers."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import StoreUnavailable
from shared.store import codec
from shared.store.memory import Memory
from shared.store.pictures import Claim, Head, Pictures, State, Status
from shared.store.port import MAX_VALUE_BYTES

KEY = "0123456789abcdef"
LARGE = bytes(range(256)) * 10_000


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.fixture
def kv() -> Memory:
    return Memory()


@pytest.fixture
def pictures(kv: Memory) -> Pictures:
    return Pictures(kv, "p_", ttl_s=3600, fresh_s=600)


async def put(pictures: Pictures, generation: int = 1, body: bytes = b"picture", key: str = KEY) -> Head | None:
    return await pictures.put(
        key, body, content_type="image/png", generation=generation, digest=f"d{generation}", rendered_at=soon(0)
    )


async def claim(
    pictures: Pictures, *, force: bool = False, hurry: bool = False, deadline_s: float = 60, now_s: float = 0
) -> Claim:
    return await pictures.claim(KEY, deadline=soon(deadline_s), now=soon(now_s), force=force, hurry=hurry)


class BadCas(Memory):
    """Loses every race."""

    async def cas(self, key: str, value: bytes, token: object, ttl_s: float) -> bool:
        return False


class BadLink(Memory):
    """Writes, loses the answer, asks again: what a broken connection makes of add and cas."""

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        await super().add(key, value, ttl_s)
        return await super().add(key, value, ttl_s)

    async def cas(self, key: str, value: bytes, token: object, ttl_s: float) -> bool:
        await super().cas(key, value, token, ttl_s)
        return await super().cas(key, value, token, ttl_s)


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


class TestClaims:
    async def test_a_free_key_is_won(self, pictures: Pictures) -> None:
        won = await claim(pictures)
        assert won.won
        assert won.state.status is Status.PENDING
        assert await pictures.state(KEY) == won.state

    async def test_a_live_claim_is_not_won_again(self, pictures: Pictures) -> None:
        first = await claim(pictures)
        assert await claim(pictures) == Claim(first.state, won=False)

    async def test_a_lapsed_claim_can_be_won_with_a_higher_generation(self, pictures: Pictures) -> None:
        first = await claim(pictures, deadline_s=-3600)
        assert await pictures.state(KEY) is None
        second = await claim(pictures, now_s=-1800)
        assert second.won
        assert second.state.generation > first.state.generation

    async def test_force_takes_a_live_key_with_a_higher_generation(self, pictures: Pictures) -> None:
        first = await claim(pictures)
        second = await claim(pictures, force=True)
        assert second.won
        assert second.state.generation > first.state.generation

    async def test_a_hurried_claim_takes_once_what_waits_for_long(self, pictures: Pictures) -> None:
        bulk = await claim(pictures, deadline_s=3600)
        claims = [await claim(pictures, deadline_s=60, hurry=True) for _ in range(3)]
        assert [one.won for one in claims] == [True, False, False]
        assert claims[0].state.generation > bulk.state.generation
        assert not await pictures.start(KEY, bulk.state.generation, "worker")

    async def test_a_hurried_claim_that_is_given_back_leaves_what_it_overtook(self, pictures: Pictures) -> None:
        bulk = await claim(pictures, deadline_s=3600)
        await pictures.release(KEY, await claim(pictures, deadline_s=60, hurry=True))
        assert await pictures.state(KEY) == bulk.state
        assert await pictures.start(KEY, bulk.state.generation, "worker")

    async def test_a_hurried_claim_leaves_what_is_being_rendered(self, pictures: Pictures) -> None:
        bulk = await claim(pictures, deadline_s=3600)
        await pictures.start(KEY, bulk.state.generation, "worker")
        assert not (await claim(pictures, deadline_s=60, hurry=True)).won

    async def test_many_forced_claims_at_once_are_few_renders(self, pictures: Pictures) -> None:
        await claim(pictures)
        claims = await asyncio.gather(*(claim(pictures, force=True) for _ in range(100)))
        generations = [claim.state.generation for claim in claims if claim.won]
        assert generations
        assert len(set(generations)) == len(generations)

    async def test_a_generation_is_above_the_stored_picture_s_also_when_the_clock_is_behind(
        self, pictures: Pictures
    ) -> None:
        ahead = int(soon(3600).timestamp() * 1000)
        await put(pictures, ahead)
        assert (await claim(pictures)).state.generation == ahead + 1

    async def test_an_error_holds_claims_back_until_its_retry(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        await pictures.fail(KEY, generation, code="not_ready", reason="Never ready.", retry_at=soon(60))
        held = await claim(pictures)
        assert not held.won
        assert (held.state.status, held.state.code, held.state.reason) == (Status.ERROR, "not_ready", "Never ready.")
        assert (await claim(pictures, now_s=61, deadline_s=120)).won

    async def test_force_does_not_wait_for_the_retry(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        await pictures.fail(KEY, generation, code="not_ready", reason="Never ready.", retry_at=soon(60))
        assert (await claim(pictures, force=True)).won

    async def test_what_runs_can_be_withdrawn_and_withdrawn_again(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        end = {"code": "cancelled", "reason": "Not wanted.", "retry_at": soon(60)}
        for _ in range(2):
            assert await pictures.withdraw(KEY, generation, **end)  # type: ignore[arg-type]
        state = await pictures.state(KEY)
        assert state is not None
        assert (state.status, state.code) == (Status.ERROR, "cancelled")

    async def test_what_has_ended_is_not_withdrawn_and_a_successor_is_left_alone(self, pictures: Pictures) -> None:
        end = {"code": "cancelled", "reason": "Not wanted.", "retry_at": None}
        assert not await pictures.withdraw(KEY, 1, **end)  # type: ignore[arg-type]
        first = (await claim(pictures)).state.generation
        second = (await claim(pictures, force=True)).state
        assert await pictures.withdraw(KEY, first, **end)  # type: ignore[arg-type]
        assert await pictures.state(KEY) == second
        await pictures.finish(KEY, second.generation)
        assert not await pictures.withdraw(KEY, second.generation, **end)  # type: ignore[arg-type]
        state = await pictures.state(KEY)
        assert state is not None
        assert state.status is Status.UPDATED

    async def test_a_claim_whose_answer_was_lost_is_still_the_claimant_s(self) -> None:
        pictures = Pictures(BadLink(), "p_", ttl_s=60, fresh_s=60)
        assert (await claim(pictures)).won
        assert not (await claim(pictures)).won
        assert (await claim(pictures, force=True)).won

    async def test_a_released_claim_can_be_won_again(self, pictures: Pictures) -> None:
        first = await claim(pictures)
        await pictures.release(KEY, first)
        assert await pictures.state(KEY) is None
        assert (await claim(pictures)).won

    async def test_release_leaves_another_s_claim_alone(self, pictures: Pictures) -> None:
        first = await claim(pictures)
        second = await claim(pictures, force=True)
        await pictures.release(KEY, first)
        assert await pictures.state(KEY) == second.state

    async def test_an_evicted_claim_only_costs_a_render(self, kv: Memory, pictures: Pictures) -> None:
        first = await claim(pictures)
        await kv.delete(f"p_{KEY}:state")
        second = await claim(pictures, now_s=1)
        assert second.won
        assert await put(pictures, second.state.generation, b"second") is not None
        assert await put(pictures, first.state.generation, b"first") is None


class TestStates:
    async def test_a_key_that_nobody_asked_for_has_no_state(self, pictures: Pictures) -> None:
        assert await pictures.state(KEY) is None

    async def test_the_way_of_a_render(self, pictures: Pictures) -> None:
        claimed = (await claim(pictures)).state
        assert await pictures.start(KEY, claimed.generation, "worker-1")
        computing = await pictures.state(KEY)
        assert computing is not None
        assert (computing.status, computing.owner) == (Status.COMPUTING, "worker-1")
        assert computing.deadline == claimed.deadline
        await put(pictures, claimed.generation)
        await pictures.finish(KEY, claimed.generation)
        updated = await pictures.state(KEY)
        assert updated is not None
        assert (updated.status, updated.generation) == (Status.UPDATED, claimed.generation)

    async def test_a_dead_owner_s_render_can_be_started_again(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        assert await pictures.start(KEY, generation, "dead")
        assert await pictures.start(KEY, generation, "heir")
        state = await pictures.state(KEY)
        assert state is not None
        assert state.owner == "heir"

    async def test_a_dead_owner_s_computing_lapses(self, pictures: Pictures) -> None:
        generation = (await claim(pictures, deadline_s=-1)).state.generation
        assert await pictures.start(KEY, generation, "dead")
        assert await pictures.state(KEY) is None
        assert (await claim(pictures)).won

    async def test_an_evicted_claim_can_be_started_with_its_deadline(self, pictures: Pictures) -> None:
        deadline = soon(30)
        assert await pictures.start(KEY, 7, "worker", deadline=deadline)
        state = await pictures.state(KEY)
        assert state is not None
        assert (state.generation, state.deadline) == (7, deadline)

    async def test_start_is_refused_to_an_older_generation(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        assert not await pictures.start(KEY, generation - 1, "late")
        assert await pictures.start(KEY, generation, "worker")

    async def test_start_is_refused_when_the_picture_is_stored_and_says_updated(self, pictures: Pictures) -> None:
        generation = (await claim(pictures)).state.generation
        await put(pictures, generation)
        assert not await pictures.start(KEY, generation, "again")
        state = await pictures.state(KEY)
        assert state is not None
        assert state.status is Status.UPDATED

    async def test_finish_and_fail_of_an_older_generation_are_ignored(self, pictures: Pictures) -> None:
        old = (await claim(pictures)).state.generation
        new = (await claim(pictures, force=True)).state
        await pictures.finish(KEY, old)
        await pictures.fail(KEY, old, code="not_ready", reason="Late.", retry_at=None)
        assert await pictures.state(KEY) == new

    async def test_a_failure_after_a_newer_picture_is_ignored_also_when_the_state_is_gone(
        self, pictures: Pictures
    ) -> None:
        await put(pictures, 2)
        await pictures.fail(KEY, 1, code="not_ready", reason="Late.", retry_at=None)
        assert await pictures.state(KEY) is None

    async def test_a_failure_keeps_the_last_good_picture(self, pictures: Pictures) -> None:
        await put(pictures, 1)
        await pictures.fail(KEY, 2, code="not_ready", reason="Never ready.", retry_at=None)
        state, picture = await pictures.state(KEY), await pictures.read(KEY)
        assert isinstance(state, State)
        assert state.status is Status.ERROR
        assert picture is not None
