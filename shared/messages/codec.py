"""What every message has in common when it is read: proto3 JSON, a version, and fields that must be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from shared.errors import InvalidInput, UnknownVersion

M = TypeVar("M", bound=Message)


def parse(
    payload: Mapping[str, Any], empty: M, noun: str, *, version: int, texts: Iterable[str], parts: Iterable[str]
) -> M:
    """`empty`, filled. `noun` names it in errors; `texts` must not be empty, `parts` (messages) must be there.

    Raises UnknownVersion for a newer schema than `version` (looked at first: the rest of such a message may not parse),
    and InvalidInput, naming the fault, for anything else that is none. Unknown fields are ignored: they are a newer
    producer's additions.
    """
    told = payload.get("version") if isinstance(payload, Mapping) else None
    if isinstance(told, int) and told > version:
        raise UnknownVersion(
            f"The {noun} has version {told}; this worker knows {version}. Upgrade the worker and replay it."
        )
    try:
        message = json_format.ParseDict(dict(payload), empty, ignore_unknown_fields=True)
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise InvalidInput(f"Not a {noun}: {error}") from error
    missing = [name for name in texts if not getattr(message, name)]
    missing += [name for name in parts if not message.HasField(name)]
    if missing:
        raise InvalidInput(f"The {noun} has no {missing[0]}.", field=missing[0])
    return message
