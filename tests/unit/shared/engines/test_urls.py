from pathlib import Path

import pytest

from shared.engines.urls import file_path, parse_url
from shared.errors import InvalidInput


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "oracle://x/y",
        "duckdb://",
        "duckdb:///:memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=rw&uri=true",
        "sqlite:///x?a=b",
    ],
)
def test_other_urls_are_refused_without_repeating_them(url):
    with pytest.raises(InvalidInput) as refused:
        parse_url(url)
    assert refused.value.field == "url"


def test_a_relative_file_lies_in_the_state_dir():
    assert file_path("sqlite:///demo.sqlite", Path("/state")) == Path("/state/demo.sqlite")
    assert file_path("sqlite:////data/demo.sqlite", Path("/state")) == Path("/data/demo.sqlite")
