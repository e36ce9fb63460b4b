"""The warm request as the code uses it, and its codec: proto3 JSON, like the render request's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from shared.messages.codec import parse
from shared.messages.vitrine.v1 import warm_pb2 as pb

VERSION = 1  # raise it only for a change that an older worker must not ignore
MAX_PRIORITY = 9


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """Carry out a run (number 0), or warm one of its parts. Fields: proto/vitrine/v1/warm.proto."""

    run_id: str
    number: int
    published_at: datetime
    correlation_id: str
    priority: int = 0
    id: str = ""
    version: int = VERSION

    def __post_init__(self) -> None:
        if not self.id:
            derived = uuid.uuid5(uuid.NAMESPACE_URL, f"vitrine:warm:{self.run_id}:{self.number}").hex
            object.__setattr__(self, "id", derived)


def encode(request: WarmRequest) -> dict[str, Any]:
    """The request as proto3 JSON (a dict of JSON values)."""
    message = pb.WarmRequest(
        version=request.version,
        id=request.id,
        run_id=request.run_id,
        number=request.number,
        correlation_id=request.correlation_id,
        priority=request.priority,
    )
    message.published_at.FromDatetime(request.published_at)
    return json_format.MessageToDict(message)


def decode(payload: Mapping[str, Any]) -> WarmRequest:
    """From proto3 JSON. Raises UnknownVersion, InvalidInput; see `parse`."""
    message = parse(
        payload,
        pb.WarmRequest(),
        "warm request",
        version=VERSION,
        texts=("version", "id", "run_id", "correlation_id"),
        parts=("published_at",),
    )
    return WarmRequest(
        run_id=message.run_id,
        number=message.number,
        published_at=message.published_at.ToDatetime(UTC),
        correlation_id=message.correlation_id,
        priority=min(message.priority, MAX_PRIORITY),
        id=message.id,
        version=message.version,
    )
