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


def test_an_option_of_mysql_that_would_be_left_out_is_refused():
    for option in ("ssl_mode=REQUIRED", "ssl_verify_cert=true", "charset=latin1"):
        with pytest.raises(InvalidInput, match=f"{option.partition('=')[0]}.*ssl_ca"):
            parse_url(f"mysql://u:p@h/shop?{option}")
    assert parse_url("mariadb://u:p@h/shop?ssl_ca=/ca.pem&charset=utf8mb4").query["ssl_ca"] == "/ca.pem"


def test_a_relative_file_lies_in_the_state_dir():
    assert file_path("sqlite:///demo.sqlite", Path("/state")) == Path("/state/demo.sqlite")
    assert file_path("sqlite:////data/demo.sqlite", Path("/state")) == Path("/data/demo.sqlite")
