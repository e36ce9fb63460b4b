"""Claims and states of a key, over the store that remembers."""

import asyncio

from shared.store.memory import Memory
from shared.store.pictures import Claim, Pictures, State, Status
from tests.samples.pictures import KEY, claim, put, soon


class BadLink(Memory):
    """Writes, loses the answer, asks again: what a broken connection makes of add and cas."""

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        await super().add(key, value, ttl_s)
        return await super().add(key, value, ttl_s)

    async def cas(self, key: str, value: bytes, token: object, ttl_s: float) -> bool:
        await super().cas(key, value, token, ttl_s)
        return await super().cas(key, value, token, ttl_s)


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
