"""The render request as the code uses it, and its codec: proto3 JSON, so that RabbitMQ's own pages show it readably."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from google.protobuf import json_format

from shared.errors import InvalidInput
from shared.messages.codec import parse
from shared.messages.vitrine.v1 import render_pb2 as pb
from shared.targets import Format, Size, Target, TargetKind, ViewState

VERSION = 1  # raise it only for a change that an older worker must not ignore


class Origin(StrEnum):
    """Why the request was made."""

    VIEWER = "viewer"
    REFRESH = "refresh"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """What to draw, as whom, until when, and under which name to keep it. Fields: proto/vitrine/v1/render.proto."""

    target: Target
    executor: str
    key: str
    generation: int
    digest: str
    window: Size
    thumbnail: Size | None
    formats: tuple[Format, ...]
    deadline: datetime
    published_at: datetime
    correlation_id: str
    origin: Origin = Origin.VIEWER
    view_state: ViewState = ViewState()
    id: str = ""
    version: int = VERSION

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", str(uuid.uuid4()))


def is_generation(value: object) -> bool:
    """Whether a message's value can be a generation: Unix milliseconds, not of a day after tomorrow.

    A later one would lock its key for ever: every true generation would be older.
    """
    return str(value).isdecimal() and 1 <= int(str(value)) <= (time.time() + 86_400) * 1000


def encode(request: RenderRequest) -> dict[str, Any]:
    """The request as proto3 JSON (a dict of JSON values)."""
    state = request.view_state
    message = pb.RenderRequest(
        version=request.version,
        id=request.id,
        target=pb.Target(
            catalog=request.target.catalog,
            kind=_value(pb.TargetKind, "TARGET_KIND", request.target.kind),
            id=request.target.id,
        ),
        executor=request.executor,
        key=request.key,
        generation=request.generation,
        digest=request.digest,
        window=pb.Size(width=request.window.width, height=request.window.height),
        formats=[_value(pb.Format, "FORMAT", f) for f in request.formats],
        correlation_id=request.correlation_id,
        origin=_value(pb.Origin, "ORIGIN", request.origin),
    )
    if not state.is_empty:
        message.view_state.CopyFrom(
            pb.ViewState(
                data_mask=state.data_mask,
                active_tabs=state.active_tabs,
                anchor=state.anchor,
                url_params=[pb.UrlParam(name=n, value=v) for n, v in state.url_params],
            )
        )
    if request.thumbnail is not None:
        message.thumbnail.CopyFrom(pb.Size(width=request.thumbnail.width, height=request.thumbnail.height))
    message.deadline.FromDatetime(request.deadline)
    message.published_at.FromDatetime(request.published_at)
    return json_format.MessageToDict(message)


def decode(payload: Mapping[str, Any]) -> RenderRequest:
    """From proto3 JSON. Raises UnknownVersion, InvalidInput; see `parse`."""
    message = parse(
        payload,
        pb.RenderRequest(),
        "render request",
        version=VERSION,
        texts=("id", "key", "digest", "correlation_id"),
        parts=("target", "window", "deadline", "published_at"),
    )
    if message.version < 1 or not is_generation(message.generation) or not message.formats or not message.target.id:
        raise InvalidInput("The render request has no version, generation, format or target id.")
    return _from_proto(message)


def _from_proto(message: pb.RenderRequest) -> RenderRequest:
    state = message.view_state
    return RenderRequest(
        version=message.version,
        id=message.id,
        target=Target(
            message.target.catalog,
            TargetKind(_name(pb.TargetKind, "TARGET_KIND", message.target.kind)),
            message.target.id,
        ),
        executor=message.executor,
        key=message.key,
        generation=message.generation,
        digest=message.digest,
        view_state=ViewState(
            state.data_mask, tuple(state.active_tabs), state.anchor, tuple((p.name, p.value) for p in state.url_params)
        ),
        window=Size(message.window.width, message.window.height),
        thumbnail=Size(message.thumbnail.width, message.thumbnail.height) if message.HasField("thumbnail") else None,
        formats=tuple(Format(_name(pb.Format, "FORMAT", f)) for f in message.formats),
        deadline=message.deadline.ToDatetime(UTC),
        published_at=message.published_at.ToDatetime(UTC),
        correlation_id=message.correlation_id,
        origin=Origin(_name(pb.Origin, "ORIGIN", message.origin)) if message.origin else Origin.VIEWER,
    )


def _value(enum: Any, prefix: str, member: StrEnum) -> Any:
    return enum.Value(f"{prefix}_{member.name}")


def _name(enum: Any, prefix: str, number: int) -> str:
    """The Python value of a proto enum number. Raises InvalidInput for UNSPECIFIED and for numbers of a newer
    schema.
    """
    try:
        name: str = enum.Name(number).removeprefix(f"{prefix}_")
    except ValueError as error:
        raise InvalidInput(f"{prefix.lower()} {number} is unknown to this worker.") from error
    if name == "UNSPECIFIED":
        raise InvalidInput(f"The render request has no {prefix.lower()}.")
    return name.lower()
