"""The form in which a result set is kept: one head, and chunks of rows. Pure.

| item | value |
|---|---|
| `<key>/head` | `Head`, as MessagePack (or JSON); written last: without it there is no result set |
| `<key>/<token>.<chunk>.<part>` | a piece of a chunk, no longer than the backend's items may be |

A chunk is MessagePack of `{v, format: "arrow", rows, body}`, the body an Arrow IPC stream whose buffers are compressed
with zstd; or JSON of `{v, format: "json", rows, columns}`, the whole compressed with zstd behind its length (8 bytes,
big-endian). The head says which, and holds the digest of each chunk. What reads takes either, whatever the settings say
now.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any

import msgpack
import pyarrow as pa

from shared.errors import ResultsGone, UnknownVersion
from shared.results import plain

VERSION = 1
CODEC = "zstd"
DIGEST_BYTES = 16
_ARROW = pa.ipc.IpcWriteOptions(compression=CODEC)


class Form(StrEnum):
    """How rows are kept."""

    ARROW = "arrow"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Chunk:
    """`size` in bytes as kept; `digest`: hex BLAKE2b of these bytes; `parts`: the items that they are cut into."""

    rows: int
    size: int
    digest: str
    parts: int


@dataclass(frozen=True, slots=True)
class Head:
    """All about a result set but its rows. Times are in UTC; `token` tells two writings under one key apart."""

    key: str
    form: Form
    token: str
    schema: pa.Schema
    created_at: datetime
    expires_at: datetime
    chunks: tuple[Chunk, ...] = field(repr=False)

    @property
    def rows(self) -> int:
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        """As kept, compressed."""
        return sum(chunk.size for chunk in self.chunks)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The number of the first row of each chunk."""
        return tuple(accumulate((chunk.rows for chunk in self.chunks), initial=0))[:-1]

    def names(self, number: int) -> list[str]:
        """The items of that chunk, in order."""
        return [f"{self.key}/{self.token}.{number}.{part}" for part in range(self.chunks[number].parts)]


def digest(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES).hexdigest()


def dump_chunk(batch: pa.RecordBatch, form: Form) -> bytes:
    envelope: dict[str, Any] = {"v": VERSION, "format": form.value, "rows": batch.num_rows}
    if form is Form.JSON:
        text = json.dumps(envelope | {"columns": plain.dump(batch)}, ensure_ascii=False, separators=(",", ":"))
        raw = text.encode()
        packed: bytes = pa.Codec(CODEC).compress(raw, asbytes=True)
        return len(raw).to_bytes(8, "big") + packed
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_ARROW) as stream:
        stream.write_batch(batch)
    body: bytes = msgpack.packb(envelope | {"body": memoryview(sink.getvalue())})
    return body


def load_chunk(value: bytes, head: Head) -> pa.RecordBatch:
    """Its rows. Raises UnknownVersion for a form that is newer than this process."""
    if head.form is Form.JSON:
        size = int.from_bytes(value[:8], "big")
        envelope = json.loads(pa.Codec(CODEC).decompress(value[8:], decompressed_size=size, asbytes=True))
        _check_version(envelope)
        return plain.load(envelope["columns"], head.schema, envelope["rows"])
    envelope = msgpack.unpackb(value)
    _check_version(envelope)
    with pa.ipc.open_stream(envelope["body"]) as stream:
        return stream.read_next_batch()


def dump_head(head: Head) -> bytes:
    schema = head.schema.serialize().to_pybytes()
    fields = {
        "v": VERSION,
        "format": head.form.value,
        "token": head.token,
        "columns": [[column.name, str(column.type)] for column in head.schema],
        "created_at": head.created_at.timestamp(),
        "expires_at": head.expires_at.timestamp(),
        "chunks": [[chunk.rows, chunk.size, chunk.digest, chunk.parts] for chunk in head.chunks],
    }
    if head.form is Form.JSON:
        return json.dumps(fields | {"schema": base64.b64encode(schema).decode()}).encode()
    body: bytes = msgpack.packb(fields | {"schema": schema})
    return body


def load_head(key: str, value: bytes) -> Head:
    """Raises UnknownVersion for one that is newer than this process, ResultsGone for one that cannot be read."""
    try:
        fields = json.loads(value) if value.startswith(b"{") else msgpack.unpackb(value)
        _check_version(fields)
        schema = fields["schema"]
        return Head(
            key=key,
            form=Form(fields["format"]),
            token=fields["token"],
            schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema) if isinstance(schema, str) else schema)),
            created_at=datetime.fromtimestamp(fields["created_at"], UTC),
            expires_at=datetime.fromtimestamp(fields["expires_at"], UTC),
            chunks=tuple(Chunk(*chunk) for chunk in fields["chunks"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, pa.ArrowException, msgpack.UnpackException) as error:
        raise ResultsGone(f"The head of the result set {key} is damaged; run the query again.") from error


def _check_version(envelope: dict[str, Any]) -> None:
    if not isinstance(envelope["v"], int) or envelope["v"] > VERSION:
        raise UnknownVersion(
            f"The result set is kept in form {envelope['v']!r}; this process reads up to {VERSION}. Upgrade it, or run "
            "the query again."
        )
