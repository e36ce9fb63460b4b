"""The key: the hash that names a picture in the store. Pure; computed once, by the publisher, and carried by the
message.
"""

from __future__ import annotations

import hashlib
from typing import Any

from shared.targets import Format, Size, Target, ViewState, canonical_json


def picture_key(
    target: Target,
    executor: str,
    access: str,
    view_state: ViewState,
    window: Size,
    thumbnail: Size | None,
    picture_format: Format,
) -> str:
    """32 hex digits (128 bits of SHA-256) over `picture_parts`."""
    return content_hash(picture_parts(target, executor, access, view_state, window, thumbnail, picture_format))


def picture_parts(
    target: Target,
    executor: str,
    access: str,
    view_state: ViewState,
    window: Size,
    thumbnail: Size | None,
    picture_format: Format,
) -> dict[str, Any]:
    """Everything that makes two pictures different *pictures*, as JSON.

    The content digest is left out on purpose: when a chart is edited, its last good picture stays under the same key
    and is served, marked stale, until the new one is there. Executor and access are in, so that identities never share
    a key.
    """
    return {
        "target": [target.catalog, target.kind.value, target.id],
        "executor": executor,
        "access": access,
        "view_state": view_state.as_json(),
        "window": str(window),
        "thumbnail": str(thumbnail) if thumbnail else None,
        "format": picture_format.value,
    }


def content_hash(value: object) -> str:
    """32 hex digits over a JSON value; equal values, equal hash, whatever the order of keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]
