"""Pictures in a real Memcached, written by the renderer's client and read by the gateway's."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.store.pictures import Claim, Head, Pictures
from tests.harness import Memcached
from tests.integration.shared.store.conftest import Open

KEY = "0123456789abcdef0123456789abcdef"
PREFIX = "vitrine_thumbnails_"
SCREENSHOT = random.Random(1).randbytes(20 * 2**20)


def pictures_of(kv: object) -> Pictures:
    return Pictures(kv, PREFIX, ttl_s=40 * 86_400, fresh_s=600)  # type: ignore[arg-type]


async def put(pictures: Pictures, body: bytes, generation: int = 1) -> Head | None:
    now = datetime.now(UTC)
    return await pictures.put(KEY, body, content_type="image/png", generation=generation, digest="d", rendered_at=now)


@pytest.fixture(scope="module")
def large_memcached() -> Iterator[Memcached]:
    with Memcached(memory_mb=256) as server:
        yield server


@pytest.fixture
def renderer(memcached: Memcached, open_client: Open) -> Pictures:
    return pictures_of(open_client("pymemcache", memcached))


@pytest.fixture
def gateway(memcached: Memcached, open_client: Open) -> Pictures:
    return pictures_of(open_client("async", memcached))


async def test_a_screenshot_of_20_mb_comes_through_items_of_1_mib(
    large_memcached: Memcached, open_client: Open
) -> None:
    writer = pictures_of(open_client("pymemcache", large_memcached))
    head = await put(writer, SCREENSHOT)
    assert head is not None
    assert len(head.chunks) > 20
    for client in ("async", "pymemcache"):
        picture = await pictures_of(open_client(client, large_memcached)).read(KEY)
        assert picture is not None
        assert picture.body == SCREENSHOT


async def test_the_gateway_s_client_can_write_a_screenshot_too(large_memcached: Memcached, open_client: Open) -> None:
    pictures = pictures_of(open_client("async", large_memcached))
    assert await put(pictures, SCREENSHOT[::-1], 2) is not None
    picture = await pictures.read(KEY)
    assert picture is not None
    assert picture.body == SCREENSHOT[::-1]


async def test_a_lost_chunk_is_a_miss(memcached: Memcached, renderer: Pictures, gateway: Pictures) -> None:
    head = await put(renderer, SCREENSHOT[: 3 * 2**20])
    assert head is not None
    assert await gateway.read(KEY) is not None
    assert memcached.command(f"delete {PREFIX}chunk:{head.chunks[1]}") == "DELETED"
    assert await gateway.read(KEY) is None


async def test_a_corrupted_chunk_is_a_miss(memcached: Memcached, renderer: Pictures, gateway: Pictures) -> None:
    head = await put(renderer, SCREENSHOT[: 3 * 2**20])
    assert head is not None
    assert memcached.command(f"set {PREFIX}chunk:{head.chunks[1]} 0 0 3\r\nbad") == "STORED"
    assert await gateway.read(KEY) is None


async def test_a_picture_lasts_longer_than_thirty_days(memcached: Memcached, renderer: Pictures) -> None:
    await put(renderer, b"picture")
    for item in (f"{PREFIX}{KEY}", f"{PREFIX}{KEY}:head"):
        ttl_s = int(memcached.command(f"mg {item} t").removeprefix("HD t"))
        assert 40 * 86_400 - 60 < ttl_s <= 40 * 86_400 + 1


class Race:
    """Sixty generations of one picture, written by some and read by others meanwhile."""

    def __init__(self) -> None:
        self.generations = iter(range(1, 61))
        self.written: dict[int, bytes] = {}
        self.seen: set[int] = set()
        self.done = asyncio.Event()

    async def write(self, pictures: Pictures) -> None:
        for generation in self.generations:
            # Large and small in turn: chunks and records replace each other.
            self.written[generation] = b"%06d" % generation * (400_000 if generation % 2 else 100)
            await put(pictures, self.written[generation], generation)

    async def read(self, pictures: Pictures) -> None:
        newest = 0
        while not self.done.is_set():
            if picture := await pictures.read(KEY):
                generation = picture.head.generation
                assert picture.body == self.written[generation]
                assert generation >= newest
                newest = generation
                self.seen.add(generation)


async def test_readers_of_a_picture_that_two_clients_write_never_see_it_torn(
    memcached: Memcached, open_client: Open
) -> None:
    writers = [pictures_of(open_client(client, memcached)) for client in ("pymemcache", "pymemcache", "async")]
    readers = [pictures_of(open_client(client, memcached)) for client in ("pymemcache", "async")]
    race = Race()
    reading = [asyncio.create_task(race.read(pictures)) for pictures in readers]
    await asyncio.gather(*(race.write(pictures) for pictures in writers))
    race.done.set()
    await asyncio.gather(*reading)
    assert len(race.seen) > 5
    last = await readers[0].read(KEY)
    assert last is not None
    assert last.head == await readers[1].head(KEY)
    assert last.head.generation == 60


async def claim(pictures: Pictures, *, force: bool = False) -> Claim:
    now = datetime.now(UTC)
    return await pictures.claim(KEY, deadline=now + timedelta(seconds=60), now=now, force=force)


async def test_of_100_claims_from_both_clients_exactly_one_is_won(renderer: Pictures, gateway: Pictures) -> None:
    claims = await asyncio.gather(*(claim((renderer, gateway)[number % 2]) for number in range(100)))
    assert sum(claim.won for claim in claims) == 1
    assert len({claim.state for claim in claims}) == 1


async def test_forced_claims_that_are_won_all_have_another_generation(renderer: Pictures, gateway: Pictures) -> None:
    first = await claim(gateway)
    claims = await asyncio.gather(*(claim((renderer, gateway)[number % 2], force=True) for number in range(50)))
    won = [claim.state.generation for claim in claims if claim.won]
    assert won
    assert len(set(won)) == len(won)
    assert min(won) > first.state.generation


async def test_an_evicted_claim_only_costs_a_render(
    memcached: Memcached, renderer: Pictures, gateway: Pictures
) -> None:
    first = await claim(gateway)
    assert memcached.command(f"delete {PREFIX}{KEY}:state") == "DELETED"
    second = await claim(gateway, force=True)
    assert second.won
    for generation in {first.state.generation, second.state.generation}:
        assert await renderer.start(KEY, generation, "worker") is (generation == second.state.generation)
    await put(renderer, b"second", second.state.generation)
    await renderer.finish(KEY, second.state.generation)
    picture = await gateway.read(KEY)
    assert picture is not None
    assert picture.body == b"second"
