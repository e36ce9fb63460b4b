"""Pictures, their states and their claims, over any KeyValue. The item formats stand in `codec`.

What holds, whatever is evicted, killed or late:

- A body is served whole or not at all: chunks are named by their content and written first, the record next, the head
  last; a lost chunk or a wrong checksum is a miss.
- An older generation never replaces a newer one: records, heads and states change by add or compare-and-swap only.
- The first body stored under a generation stays; a repeated render of it changes nothing, and mends a head that was
  not written.
- A claim is advisory: losing it costs a second render, never a wrong picture. Nothing here outlives its time: a
  Pending or Computing past its deadline has lapsed and can be claimed anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from shared.errors import StoreUnavailable
from shared.store import codec
from shared.store.codec import Claim, Head, Picture, State, Status, same
from shared.store.port import KeyValue
from shared.store.recent import Recent

__all__ = ["Claim", "Head", "Picture", "Pictures", "State", "Status", "same"]

log = structlog.get_logger(__name__)
ATTEMPTS = 50  # compare-and-swap rounds; each lost round means that somebody else's went through
LAPSED_S = 60  # how long a lapsed state is kept, so that the next claim's generation is above its own
MUCH = timedelta(minutes=1)  # by which the deadline of what nobody waits for is the later one; more than clocks differ
LEASE = timedelta(seconds=300)  # of a Computing whose claim was evicted and whose deadline the caller did not give
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Pictures:
    """Every method raises StoreUnavailable when the store does not answer.

    `ttl_s`: how long a picture is kept; `fresh_s`: how long it is fresh.
    """

    def __init__(self, kv: KeyValue, prefix: str, *, ttl_s: float, fresh_s: float) -> None:
        self._kv = kv
        self._prefix = prefix
        self._ttl_s = ttl_s
        self._fresh = timedelta(seconds=fresh_s)
        self._recent = Recent()

    async def close(self) -> None:
        """Close the store: for an owner that opened nothing else on it."""
        await self._kv.close()

    # Reading

    async def head(self, key: str) -> Head | None:
        """One small get: for 304 answers and lists."""
        value = await self._kv.get(f"{self._prefix}{key}:head")
        return codec.decode_head(value) if value else None

    def last_read(self, key: str) -> Picture | None:
        """What `read` gave last, if it is still in memory; it stands as long as `head` gives the same head."""
        return self._recent.find(key)

    async def read(self, key: str) -> Picture | None:
        """One get for a picture that fits one item, of the small head alone for one that was read lately and still
        stands. None: a miss; so are a lost chunk and a wrong checksum.
        """
        known = self.last_read(key)
        if known is not None and same(await self.head(key), known.head):
            return known
        value = await self._kv.get(self._prefix + key)
        if value is None:
            return None
        picture = codec.decode_record(value)
        if picture is None:
            return None
        head, body = picture.head, picture.body
        if head.chunks:
            names = [self._chunk(name) for name in head.chunks]
            pieces = await self._kv.get_many(list(dict.fromkeys(names)))
            if any(name not in pieces for name in names):
                return None
            body = b"".join(pieces[name] for name in names)
            picture = Picture(head, body)
        if not codec.is_whole(head, body):
            log.warning("picture_damaged", key=key, generation=head.generation)
            return None
        self._recent.keep(key, picture)
        return picture

    # Storing

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        generation: int,
        digest: str,
        rendered_at: datetime,
        fresh_s: float | None = None,
        flaw: str = "",
    ) -> Head | None:
        """Keep a picture. Returns the head that stands for its generation; None when a newer one is already stored.

        `fresh_s` shortens how long it is fresh; `flaw` is what of it failed.
        """
        fresh = self._fresh if fresh_s is None else min(self._fresh, timedelta(seconds=fresh_s))
        checksum = codec.sha256(body)
        head = Head(
            generation=generation,
            etag=checksum[:32],
            content_type=content_type,
            size=len(body),
            digest=digest,
            rendered_at=rendered_at,
            fresh_until=rendered_at + fresh,
            checksum=checksum,
            flaw=flaw,
        )
        if not codec.fits(head):
            head = replace(head, chunks=await self._put_chunks(body))
        standing = await self._keep_newest(self._prefix + key, head, codec.encode_record(head, body))
        # Also when another record stands: whoever wrote it may have died before its head.
        await self._keep_newest(f"{self._prefix}{key}:head", standing, codec.encode_head(standing))
        return standing if standing.generation == generation else None

    async def _put_chunks(self, body: bytes) -> tuple[str, ...]:
        names = []
        for piece in codec.split(body):
            names.append(codec.sha256(piece))
            await self._kv.set(self._chunk(names[-1]), piece, self._ttl_s)
        return tuple(names)

    async def _keep_newest(self, name: str, head: Head, value: bytes) -> Head:
        """Write `value` unless the item holds this generation or a newer one; returns the head that stands there."""
        for _ in range(ATTEMPTS):
            found = await self._kv.gets(name)
            stored = codec.decode_head(found[0].split(b"\n", 1)[0]) if found else None
            if stored and stored.generation >= head.generation:
                return stored
            if await self._write(name, value, found[1] if found else None, self._ttl_s):
                return head
        raise _contended(name)

    # The state of a key

    async def state(self, key: str) -> State | None:
        """None when nobody asked, or whoever did has lapsed."""
        value = await self._kv.get(f"{self._prefix}{key}:state")
        state = codec.decode_state(value) if value else None
        return None if state and state.is_running and not state.is_live(datetime.now(UTC)) else state

    async def claim(
        self, key: str, *, deadline: datetime, now: datetime, force: bool = False, hurry: bool = False
    ) -> Claim:
        """Pending for the claimant, if the key is free: no render under way, no Error before its retry_at.

        `hurry` takes it also from one that is Pending and may remain so for much longer: nobody waited for it so far.
        `force` takes the key whatever its state, with a higher generation. It does not win over another claim made
        after it began: that one's render will be as new as its own, so many forced claims at once are few renders.
        """
        name, nonce = f"{self._prefix}{key}:state", uuid.uuid4().hex
        first: State | None = None
        for attempt in range(ATTEMPTS):
            found = await self._kv.gets(name)
            current = codec.decode_state(found[0]) if found else None
            if attempt == 0:
                first = current
            elif current and current.owner == nonce:  # written after all: the connection broke before the answer came
                return Claim(current, won=True)
            overtaken = attempt > 0 and current is not None and (first is None or current.generation > first.generation)
            lingers = current is not None and current.status is Status.PENDING and current.deadline > deadline + MUCH
            if current and current.holds_back(now) and (overtaken or not force) and not (hurry and lingers):
                return Claim(current, won=False)
            generation = max(int(now.timestamp() * 1000), 1 + await self._last_generation(key, current))
            state = State(Status.PENDING, generation, now, deadline, owner=nonce)
            if await self._write_state(name, state, found[1] if found else None, now):
                return Claim(state, won=True, overtaken=current if lingers else None)
        raise _contended(name)

    async def release(self, key: str, claim: Claim) -> None:
        """Give our Pending back, to whom we overtook if so: publishing failed."""
        name = f"{self._prefix}{key}:state"
        found = await self._kv.gets(name)
        state = codec.decode_state(found[0]) if found else None
        if found and state and state.generation == claim.state.generation and state.status is Status.PENDING:
            # Not deleted: between our look and a delete, somebody else's claim may have taken its place.
            before = claim.overtaken or replace(state, deadline=LONG_AGO)
            await self._write_state(name, before, found[1], datetime.now(UTC))

    async def start(self, key: str, generation: int, owner: str, *, deadline: datetime | None = None) -> bool:
        """Computing for `owner`, whose predecessor may have died.

        False when this generation or a newer one is stored, or a newer one has the key.
        `deadline` is the render's, for a claim that was evicted.
        """
        head = await self.head(key)
        if head and head.generation == generation:  # stored by a worker that died before it could say so
            await self.finish(key, generation)
        if head and head.generation >= generation:
            return False

        def computing(current: State | None, now: datetime) -> State:
            mine = current if current and current.generation == generation else None
            end = deadline or (mine.deadline if mine else now + LEASE)
            return State(Status.COMPUTING, generation, now, end, owner=owner)

        return await self._advance(key, generation, computing)

    async def finish(self, key: str, generation: int) -> None:
        """Updated, unless a newer generation has the key."""
        await self._advance(key, generation, lambda _, now: State(Status.UPDATED, generation, now, now))

    async def fail(self, key: str, generation: int, *, code: str, reason: str, retry_at: datetime | None) -> None:
        """Error, unless a newer generation has the key. The last good picture stays."""
        await self._advance(
            key, generation, lambda _, now: State(Status.ERROR, generation, now, now, code, reason, retry_at)
        )

    async def withdraw(self, key: str, generation: int, *, code: str, reason: str, retry_at: datetime | None) -> bool:
        """Error, if this generation is still to end; nothing, if a newer one has taken its place. False: it has ended,
        or nobody knows of it.
        """
        name = f"{self._prefix}{key}:state"
        for _ in range(ATTEMPTS):
            found = await self._kv.gets(name)
            current = codec.decode_state(found[0]) if found else None
            if not found or not current or current.generation < generation:
                return False
            if current.generation > generation:
                return True
            if not current.is_running:
                return current.code == code  # withdrawn before, by a caller who came no further than here
            now = datetime.now(UTC)
            state = State(Status.ERROR, generation, now, now, code, reason, retry_at)
            if await self._write_state(name, state, found[1], now):
                return True
        raise _contended(name)

    async def _advance(self, key: str, generation: int, make: Callable[[State | None, datetime], State]) -> bool:
        """Replace the state with what `make` gives; False when a newer generation has the key."""
        name = f"{self._prefix}{key}:state"
        for _ in range(ATTEMPTS):
            found = await self._kv.gets(name)
            current = codec.decode_state(found[0]) if found else None
            if await self._last_generation(key, current) > generation:
                return False
            now = datetime.now(UTC)
            if await self._write_state(name, make(current, now), found[1] if found else None, now):
                return True
        raise _contended(name)

    async def _last_generation(self, key: str, current: State | None) -> int:
        """The newest known generation, 0 for none: the state's, and the stored picture's, which survives the state."""
        head = await self.head(key)
        return max(current.generation if current else 0, head.generation if head else 0)

    async def _write_state(self, name: str, state: State, token: object | None, now: datetime) -> bool:
        """Kept a while past its deadline when it runs, as long as a picture when it ended."""
        left_s = max(0.0, (state.deadline - now).total_seconds())
        ttl_s = left_s + LAPSED_S if state.is_running else self._ttl_s
        return await self._write(name, codec.encode_state(state), token, ttl_s)

    async def _write(self, name: str, value: bytes, token: object | None, ttl_s: float) -> bool:
        """Only if the item is still as `gets` found it; no token: absent."""
        if token is None:
            return await self._kv.add(name, value, ttl_s)
        return await self._kv.cas(name, value, token, ttl_s)

    def _chunk(self, name: str) -> str:
        return f"{self._prefix}chunk:{name}"


def _contended(name: str) -> StoreUnavailable:
    return StoreUnavailable(f"The store's item {name} changed {ATTEMPTS} times while it was being written; try again.")
