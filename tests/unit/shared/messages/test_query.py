"""The query request's codec: golden examples, versions, and what is no query request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import InvalidInput, UnknownVersion
from shared.messages import query

EXAMPLES = sorted(Path("proto/examples").glob("query_request*.json"))
EXAMPLE = json.loads(EXAMPLES[0].read_text())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_golden_example_is_read_and_written_again_unchanged(path: Path) -> None:
    payload = json.loads(path.read_text())
    assert query.encode(query.decode(payload)) == payload


def test_a_newer_version_is_refused_before_anything_else_of_it_is_read() -> None:
    with pytest.raises(UnknownVersion, match=r"version 2; this worker knows 1"):
        query.decode({"version": 2, "queryId": ["in another shape"]})


def test_fields_of_a_newer_producer_are_ignored() -> None:
    assert query.decode({**EXAMPLE, "addedLater": 1}) == query.decode(EXAMPLE)


@pytest.mark.parametrize("name", list(EXAMPLE))
def test_what_lacks_a_field_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="query request"):
        query.decode({key: value for key, value in EXAMPLE.items() if key != name})


@pytest.mark.parametrize("payload", [None, [], "x", {"version": 1, "queryId": -1}, {"version": 1, "queryId": "x"}])
def test_garbage_is_refused(payload: object) -> None:
    with pytest.raises(InvalidInput):
        query.decode(payload)  # type: ignore[arg-type]
