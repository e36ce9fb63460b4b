"""Rows of queries in the store: entries, and the flights that fill them, over any KeyValue.

| item | value |
|---|---|
| `<prefix>data:<key>` | JSON of the header, a newline, then the rows (deflated JSON), or nothing when in chunks |
| `<prefix>data:chunk:<sha256>` | a piece of rows too large for one item, named by its content |
| `<prefix>data:<key>:flight` | JSON of `Flight`: who is computing the rows now, or how that failed a moment ago |

What cannot be read (damaged, a chunk lost, another version) is a miss. Only rows are kept here: a refusal or a failure
is told to those who waited for it, for FAILURE_S seconds, and then forgotten.
"""

from __future__ import annotations

import json
import uuid
import zlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from shared.store.codec import sha256, split
from shared.store.port import MAX_VALUE_BYTES, KeyValue

log = structlog.get_logger(__name__)
LEVEL = 1  # of zlib: rows shrink about as well as with 6, in a third of the time
HEADER_BYTES = 2000  # room for the header beside the rows in one item
FLIGHT_S = 5.0  # a flight whose process died lapses after this
FAILURE_S = 3.0
HANDOVER_S = 30.0  # an entry that nobody is served waits this long for those who asked before it was computed


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows as JSON text, and when they were read. `warmed_by` names the warm-up run that computed them, or is ""."""

    body: bytes
    began_at: datetime  # when their query was sent: they are at least as new as that
    computed_at: datetime
    fresh_until: datetime
    warmed_by: str = ""

    def is_fresh(self, now: datetime) -> bool:
        return now < self.fresh_until


@dataclass(frozen=True, slots=True)
class Flight:
    """Somebody's computing of an entry; with `code`, how it ended."""

    owner: str
    code: str = ""
    reason: str = ""


class DataEntries:
    """Every method raises StoreUnavailable when the store does not answer. `stale_s`: served that long after fresh."""

    def __init__(self, kv: KeyValue, prefix: str, *, stale_s: float) -> None:
        self._kv = kv
        self._prefix = f"{prefix}data:"
        self._stale = timedelta(seconds=stale_s)

    async def read(self, key: str, *, handed_over: bool = False) -> Entry | None:
        """None: a miss; so are a lost chunk, a wrong checksum, and an entry that is too old to be served.

        `handed_over`: also one that is kept only for those who asked before its query was sent.
        """
        value = await self._kv.get(self._prefix + key)
        if value is None:
            return None
        head, _, packed = value.partition(b"\n")
        try:
            header = json.loads(head)
            if header["chunks"]:
                packed = await self._pieces(header["chunks"])
            if sha256(packed) != header["checksum"]:
                raise ValueError("checksum")
            began, computed, until = (
                datetime.fromisoformat(header[name]) for name in ("began_at", "computed_at", "fresh_until")
            )
            entry = Entry(zlib.decompress(packed), began, computed, until, str(header["warmed_by"]))
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            log.warning("data_entry_damaged", key=key, error=str(error))
            return None
        until_when = self._kept_until(entry) if handed_over else self.served_until(entry)
        return entry if datetime.now(UTC) < until_when else None

    def served_until(self, entry: Entry) -> datetime:
        """Until when it is served, fresh and then stale; one that was never fresh is not."""
        return entry.fresh_until + self._stale if entry.fresh_until >= entry.computed_at else entry.fresh_until

    def _kept_until(self, entry: Entry) -> datetime:
        return max(self.served_until(entry), entry.computed_at + timedelta(seconds=HANDOVER_S))

    async def _pieces(self, names: list[str]) -> bytes:
        keys = [f"{self._prefix}chunk:{name}" for name in names]
        found = await self._kv.get_many(list(dict.fromkeys(keys)))
        return b"".join(found[key] for key in keys)  # KeyError: a lost chunk

    async def put(self, key: str, entry: Entry) -> None:
        """The newest writer wins: any two entries of one key hold rows of the same query and data version."""
        packed = zlib.compress(entry.body, LEVEL)
        ttl_s = max(1.0, (self._kept_until(entry) - datetime.now(UTC)).total_seconds())
        chunks = []
        if len(packed) + HEADER_BYTES > MAX_VALUE_BYTES:
            for piece in split(packed):
                chunks.append(sha256(piece))
                await self._kv.set(f"{self._prefix}chunk:{chunks[-1]}", piece, ttl_s)
        fields = {name: value for name, value in asdict(entry).items() if name != "body"}
        header = json.dumps({**fields, "checksum": sha256(packed), "chunks": chunks}, default=datetime.isoformat)
        await self._kv.set(self._prefix + key, header.encode() + b"\n" + (b"" if chunks else packed), ttl_s)

    # Flights: one computes, the others wait

    async def take_off(self, key: str) -> tuple[Flight, bool]:
        """The flight that computes the entry now, and whether it is ours. A failed one is free to be taken."""
        name, mine = self._flight(key), Flight(uuid.uuid4().hex)
        if await self._kv.add(name, _dump(mine), FLIGHT_S):
            return mine, True
        found = await self._kv.gets(name)
        if found is None:  # it landed between the two looks
            return mine, await self._kv.add(name, _dump(mine), FLIGHT_S)
        standing = _load(found[0])
        if standing is None or standing.code:
            return mine, await self._kv.cas(name, _dump(mine), found[1], FLIGHT_S)
        return standing, False

    async def flight(self, key: str) -> Flight | None:
        value = await self._kv.get(self._flight(key))
        return _load(value) if value else None

    async def go_on(self, key: str, flight: Flight) -> bool:
        """Keeps our flight for another FLIGHT_S. False when it lapsed and somebody else took off."""
        return await self._replace(key, flight, flight, FLIGHT_S)

    async def land(self, key: str, flight: Flight, *, code: str, reason: str = "") -> None:
        """Ends our flight: `code` is "landed", or the error of which those who wait for it are told."""
        # Not deleted: between our look and a delete, somebody else's flight may have taken its place.
        await self._replace(key, flight, replace(flight, code=code, reason=reason), FAILURE_S)

    async def _replace(self, key: str, flight: Flight, value: Flight, ttl_s: float) -> bool:
        found = await self._kv.gets(self._flight(key))
        standing = _load(found[0]) if found else None
        if found is None or standing is None or standing.owner != flight.owner:
            return False
        return await self._kv.cas(self._flight(key), _dump(value), found[1], ttl_s)

    def _flight(self, key: str) -> str:
        return f"{self._prefix}{key}:flight"


def _dump(flight: Flight) -> bytes:
    return json.dumps(asdict(flight)).encode()


def _load(value: bytes) -> Flight | None:
    try:
        fields: dict[str, Any] = json.loads(value)
        return Flight(**fields)
    except (ValueError, TypeError):
        return None
