"""The warm request's codec: golden examples, versions, and what is no warm request."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import InvalidInput, UnknownVersion
from shared.messages import warm
from shared.messages.warm import WarmRequest

EXAMPLES = sorted(Path("proto/examples").glob("warm_request_*.json"))
EXAMPLE = json.loads(EXAMPLES[0].read_text())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_golden_example_is_read_and_written_again_unchanged(path: Path) -> None:
    payload = json.loads(path.read_text())
    assert warm.encode(warm.decode(payload)) == payload


def test_a_newer_version_is_refused_before_anything_else_of_it_is_read() -> None:
    with pytest.raises(UnknownVersion, match=r"version 2; this worker knows 1"):
        warm.decode({"version": 2, "runId": ["in another shape"]})


def test_fields_of_a_newer_producer_are_ignored() -> None:
    assert warm.decode({**EXAMPLE, "addedLater": 1}) == warm.decode(EXAMPLE)


@pytest.mark.parametrize("name", ["id", "runId", "correlationId", "version", "publishedAt"])
def test_what_lacks_a_field_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="warm request"):
        warm.decode({key: value for key, value in EXAMPLE.items() if key != name})


@pytest.mark.parametrize("payload", [None, [], "x", {"version": 1, "number": -1}, {"version": 1, "number": "x"}])
def test_garbage_is_refused(payload: object) -> None:
    with pytest.raises(InvalidInput):
        warm.decode(payload)  # type: ignore[arg-type]


def test_the_same_part_of_a_run_is_the_same_message() -> None:
    now = datetime.now(UTC)
    request = WarmRequest("run", 3, now, "c")
    assert WarmRequest("run", 3, now, "other").id == request.id
    assert replace(request, number=4, id="").id != request.id
