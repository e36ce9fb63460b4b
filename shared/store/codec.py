"""What the store holds for a picture, and the form in which it holds it. Pure.

| item | value |
|---|---|
| `<prefix><key>:head` | JSON of `Head`: a few hundred bytes, for 304 answers and lists |
| `<prefix><key>` | the record: the same JSON, a newline, then the body, unless the body is in chunks |
| `<prefix>chunk:<sha256>` | a piece of a body too large for one item, named by its content |
| `<prefix><key>:state` | JSON of `State` |

Times are ISO 8601 in UTC. What cannot be read (damaged, or of another version) is a miss, never an exception: the
picture is rendered again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from shared.store.port import MAX_VALUE_BYTES


class Status(StrEnum):
    """The status of a picture, spelled as Superset spells it."""

    PENDING = "Pending"
    COMPUTING = "Computing"
    UPDATED = "Updated"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Head:
    """All about a stored picture but its bytes.

    `size` is in bytes, `checksum` hex SHA-256 of the body, `etag` without quotes.
    """

    generation: int
    etag: str
    content_type: str
    size: int
    digest: str
    rendered_at: datetime
    fresh_until: datetime
    checksum: str
    chunks: tuple[str, ...] = ()  # hex SHA-256 of each piece, in order; () when the body is in the record
    flaw: str = ""  # what of it failed, in one sentence: it shows a failed chart

    def is_fresh(self, digest: str, now: datetime) -> bool:
        """Whether it shows the current content and is not too old."""
        return self.digest == digest and now < self.fresh_until


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole picture whose checksum holds."""

    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class State:
    """Where the making of a picture stands. `deadline` is the render's: Pending or Computing past it has lapsed.

    `owner` tells two claimants of one generation apart: a nonce while Pending, the worker while Computing.
    """

    status: Status
    generation: int
    updated_at: datetime
    deadline: datetime
    code: str = ""
    reason: str = ""
    retry_at: datetime | None = None
    owner: str = ""

    @property
    def is_running(self) -> bool:
        return self.status in (Status.PENDING, Status.COMPUTING)

    def is_live(self, now: datetime) -> bool:
        """Somebody is making the picture, as far as anyone knows."""
        return self.is_running and now < self.deadline

    def holds_back(self, now: datetime) -> bool:
        """A new render may not begin yet: one is under way, or the last one failed a moment ago."""
        return self.is_live(now) or (self.status is Status.ERROR and self.retry_at is not None and now < self.retry_at)


@dataclass(frozen=True, slots=True)
class Claim:
    """The state that holds the key after a claim; `won` when it is the claimant's own, `overtaken` the one before it
    when that was still to be rendered.
    """

    state: State
    won: bool
    overtaken: State | None = None


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def split(body: bytes) -> Iterator[bytes]:
    """Pieces of at most MAX_VALUE_BYTES."""
    return (body[start : start + MAX_VALUE_BYTES] for start in range(0, len(body), MAX_VALUE_BYTES))


def fits(head: Head) -> bool:
    """Whether header and body share one item; `head` is without chunks."""
    return len(encode_head(head)) + 1 + head.size <= MAX_VALUE_BYTES


def is_whole(head: Head, body: bytes) -> bool:
    return len(body) == head.size and sha256(body) == head.checksum


def encode_head(head: Head) -> bytes:
    """Without an empty `flaw`: earlier versions can read those."""
    fields = {name: getattr(head, name) for name in Head.__slots__ if name != "flaw" or head.flaw}
    return _dump(fields)


@lru_cache(maxsize=4096)  # a popular picture's head is read thousands of times and rarely changes
def decode_head(value: bytes) -> Head | None:
    """None when it cannot be read."""
    fields = _load(value, times=("rendered_at", "fresh_until"))
    try:
        return Head(**{**fields, "chunks": tuple(fields["chunks"])}) if fields else None
    except (KeyError, TypeError):
        return None


def same(first: Head | None, second: Head) -> bool:
    """Equal, found out quickly: what `decode_head` remembers is one object."""
    return first is second or first == second


def encode_record(head: Head, body: bytes) -> bytes:
    """`body` is left out when it is in chunks."""
    return encode_head(head) + b"\n" + (b"" if head.chunks else body)


def decode_record(value: bytes) -> Picture | None:
    """The body is empty when it is in chunks, and not yet checked. None when it cannot be read."""
    end = value.find(b"\n")
    head = decode_head(value[:end]) if end > 0 else None
    return Picture(head, value[end + 1 :]) if head else None


def encode_state(state: State) -> bytes:
    fields = {name: getattr(state, name) for name in State.__slots__}
    return _dump(fields)


def decode_state(value: bytes) -> State | None:
    """None when it cannot be read."""
    fields = _load(value, times=("updated_at", "deadline", "retry_at"))
    try:
        return State(**{**fields, "status": Status(fields["status"])}) if fields else None
    except (KeyError, TypeError, ValueError):
        return None


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), default=datetime.isoformat).encode()


def _load(value: bytes, times: tuple[str, ...]) -> dict[str, Any] | None:
    try:
        fields: dict[str, Any] = json.loads(value)
        return {**fields, **{name: fields[name] and datetime.fromisoformat(fields[name]) for name in times}}
    except (ValueError, KeyError, TypeError):
        return None
