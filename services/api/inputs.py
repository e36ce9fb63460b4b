"""Reading requests: JSON bodies, rison queries, ids, sizes. What does not hold is InvalidInput that names the field."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

import prison
from falcon import HTTPContentTooLarge
from falcon.asgi import Request

from shared.errors import InvalidInput, NotFound
from shared.targets import Size, Target, TargetKind, canonical_json

MAX_BODY_BYTES = 1024 * 1024
MAX_QUERY_CHARACTERS = 100_000
MAX_PAGE_SIZE = 100
MAX_PIXELS = 32_000_000  # of a window or thumbnail: 16,384 × 1,950; a larger bitmap would fill the renderer's memory
MAX_ID_DIGITS = 18  # fits every database's integers
_ID = re.compile(r"(?:(?P<catalog>[a-z]+):)?(?:(?P<number>[0-9]{1,18})|(?<=:)(?P<slug>[a-z][a-z0-9-]{0,99}))")


def target_of(kind: TargetKind, target_id: str, default: str = "native") -> Target:
    """`12` of the default catalog, `superset:12`, `pages:status`.

    Raises NotFound: what can be no id looks like any other unknown one.
    """
    match = _ID.fullmatch(target_id)
    if match is None:
        raise NotFound(f"There is no such {kind}.")
    number = match["number"]
    return Target(match["catalog"] or default, kind, str(int(number)) if number else match["slug"])


async def read_body(req: Request) -> bytes:
    """Raises HTTPContentTooLarge above 1 MiB, also when no length was announced."""
    if (req.content_length or 0) > MAX_BODY_BYTES:
        raise HTTPContentTooLarge(description=f"The body may have {MAX_BODY_BYTES} bytes at most.")
    body = b""
    async for piece in req.stream:
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPContentTooLarge(description=f"The body may have {MAX_BODY_BYTES} bytes at most.")
    return body


async def read_object(req: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object."""
    body = await read_body(req)
    return parse_object(body, "body") if body.strip() else {}


def parse_object(text: str | bytes, field: str) -> dict[str, Any]:
    """A JSON object that can be written as UTF-8 again (no lone surrogates, NaN or endless nesting)."""
    try:
        value = json.loads(text)
        canonical_json(value).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{field} is not valid JSON: {_short(error)}", field=field) from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be a JSON object.", field=field)
    return value


async def read_form(req: Request) -> dict[str, str]:
    """The first value of each field of an URL-encoded form."""
    try:
        fields = parse_qs((await read_body(req)).decode(), max_num_fields=20, keep_blank_values=True)
    except ValueError as error:
        raise InvalidInput(f"The form cannot be read: {_short(error)}", field="body") from error
    return {name: values[0] for name, values in fields.items()}


def read_rison(req: Request) -> dict[str, Any]:
    """The query's `q`, a rison object as Superset's clients send it; absent: an empty object."""
    text = req.get_param("q")
    if not text:
        return {}
    if len(text) > MAX_QUERY_CHARACTERS:
        raise InvalidInput(f"q is longer than {MAX_QUERY_CHARACTERS} characters.", field="q")
    try:
        value = prison.loads(text)
        canonical_json(value).encode()
    except Exception as error:  # prison's parser raises whatever it stumbles over: KeyError, IndexError, …
        raise InvalidInput("q is not valid rison, such as (page:0,page_size:25).", field="q") from error
    if not isinstance(value, dict):
        raise InvalidInput("q must be a rison object, such as (page:0,page_size:25).", field="q")
    return value


def read_paging(req: Request) -> tuple[int, int]:
    """Page (from 0) and page size: of `q`, else plain parameters."""
    plain = {name: req.get_param(name) for name in ("page", "page_size") if req.has_param(name)}
    query = read_rison(req) or plain
    if query.get("filters"):
        raise InvalidInput("filters are not supported here: unfiltered rows would pass for an answer.", field="filters")
    return page_of(query)


def page_of(query: dict[str, Any]) -> tuple[int, int]:
    """`page` (from 0) and `page_size` of these values; Superset's -1 means as many as allowed."""
    page, size = _whole(query, "page", 0), _whole(query, "page_size", 25)
    if not 0 <= page <= 1_000_000:
        raise InvalidInput("page must be 0 or more.", field="page")
    if size != -1 and size < 1:
        raise InvalidInput(f"page_size must be 1 to {MAX_PAGE_SIZE}.", field="page_size")
    return page, MAX_PAGE_SIZE if size == -1 else min(size, MAX_PAGE_SIZE)


def read_flag(values: dict[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return value


def read_switch(req: Request, name: str) -> bool:
    """A query parameter that is `true` or `false` (also 1 or 0); absent: false."""
    value = (req.get_param(name) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return value in ("true", "1")


def read_size(values: dict[str, Any], name: str) -> Size | None:
    """`[width, height]` in CSS pixels, or nothing."""
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(side) is int for side in value):
        raise InvalidInput(f"{name} must be [width, height] in whole pixels.", field=name)
    try:
        size = Size(*value)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}", field=name) from error
    if size.width * size.height > MAX_PIXELS:
        raise InvalidInput(f"{name} may have {MAX_PIXELS:,} pixels at most.", field=name)
    return size


def read_strings(values: dict[str, Any], name: str) -> list[str]:
    value = values.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f"{name} must be a list of strings.", field=name)
    return value


def read_object_field(values: dict[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} must be an object.", field=name)
    return value


def read_string(values: dict[str, Any], name: str, *, limit: int = 200) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or "\0" in value:
        raise InvalidInput(f"{name} must be a string of at most {limit} characters.", field=name)
    return value


def _whole(values: dict[str, Any], name: str, default: int) -> int:
    value = values.get(name, default)
    if type(value) is int:
        return value
    if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii() and len(value) < MAX_ID_DIGITS:
        return int(value)
    raise InvalidInput(f"{name} must be a whole number.", field=name)


def _short(error: Exception) -> str:
    return str(error)[:200] if isinstance(error, ValueError) else "it is nested too deeply"
