"""The query request as the code uses it, and its codec: proto3 JSON, like the render request's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from shared.messages.codec import parse
from shared.messages.vitrine.v1 import query_pb2 as pb

VERSION = 1  # raise it only for a change that an older worker must not ignore


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """Carry out a query. Fields: proto/vitrine/v1/query.proto."""

    id: str
    query_id: int
    queue: str
    published_at: datetime
    deadline: datetime
    correlation_id: str
    version: int = VERSION


def encode(request: QueryRequest) -> dict[str, Any]:
    """The request as proto3 JSON (a dict of JSON values)."""
    message = pb.QueryRequest(
        version=request.version,
        id=request.id,
        query_id=request.query_id,
        queue=request.queue,
        correlation_id=request.correlation_id,
    )
    message.published_at.FromDatetime(request.published_at)
    message.deadline.FromDatetime(request.deadline)
    return json_format.MessageToDict(message)


def decode(payload: Mapping[str, Any]) -> QueryRequest:
    """From proto3 JSON. Raises UnknownVersion, InvalidInput; see `parse`."""
    message = parse(
        payload,
        pb.QueryRequest(),
        "query request",
        version=VERSION,
        texts=("version", "id", "query_id", "queue", "correlation_id"),
        parts=("published_at", "deadline"),
    )
    return QueryRequest(
        id=message.id,
        query_id=message.query_id,
        queue=message.queue,
        published_at=message.published_at.ToDatetime(UTC),
        deadline=message.deadline.ToDatetime(UTC),
        correlation_id=message.correlation_id,
        version=message.version,
    )
