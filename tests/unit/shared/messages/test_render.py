"""The render request's codec: golden examples, versions, and what is no render request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput, UnknownVersion
from shared.messages import render
from shared.messages.vitrine.v1 import render_pb2

EXAMPLES = sorted(Path("proto/examples").glob("render_request_*.json"))


def example() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(EXAMPLES[0].read_text())
    return loaded


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_golden_example_is_read_and_written_again_unchanged(path: Path) -> None:
    payload = json.loads(path.read_text())
    assert render.encode(render.decode(payload)) == payload


def test_a_newer_version_is_refused_before_anything_else_of_it_is_read() -> None:
    with pytest.raises(UnknownVersion, match=r"version 2; this worker knows 1"):
        render.decode({"version": 2, "target": "in another shape altogether"})


def test_fields_of_a_newer_producer_are_ignored() -> None:
    assert render.decode({**example(), "addedLater": {"x": 1}}) == render.decode(example())


@pytest.mark.parametrize(
    "name",
    ["id", "key", "digest", "correlationId", "target", "window", "deadline", "publishedAt", "formats", "generation"],
)
def test_a_request_without_a_needed_field_is_refused(name: str) -> None:
    payload = example()
    del payload[name]
    with pytest.raises(InvalidInput):
        render.decode(payload)


@pytest.mark.parametrize(
    "garbage",
    [{}, {"version": "x"}, {"version": 1, "target": 7}, {"window": []}, {"formats": ["FORMAT_GIF"]}, "text", None, []],
)
def test_garbage_is_invalid_input_and_never_another_error(garbage: Any) -> None:
    with pytest.raises(InvalidInput):
        render.decode(garbage)


def test_a_target_kind_of_a_newer_schema_is_refused() -> None:
    payload = example()
    payload["target"]["kind"] = 99
    with pytest.raises(InvalidInput, match="target_kind"):
        render.decode(payload)


def test_no_field_of_the_message_can_hold_a_credential() -> None:
    names = {field.name for field in render_pb2.RenderRequest.DESCRIPTOR.fields}
    assert not names & {"password", "token", "cookie", "secret", "authorization", "headers"}
