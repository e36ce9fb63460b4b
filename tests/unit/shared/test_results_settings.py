"""URLs of results backends, as they are logged."""

import pytest

from shared.results_settings import mask


@pytest.mark.parametrize("secret", ["u:p@", "u:p@ss@", ":p@", "u:p:@@"])
def test_nothing_of_a_password_is_shown(secret: str) -> None:
    assert mask(f"redis://{secret}host:6379/0") == "redis://***@host:6379/0"


def test_what_has_no_password_is_shown_as_it_is() -> None:
    for url in ("redis://host/0", "file:///some/a@b", "s3://bucket/a@b"):
        assert mask(url) == url
