import pytest

from services.api.cache_keys import CacheKeys
from shared.errors import NotFound

KEY, THUMBNAIL, OTHER = "a" * 32, "b" * 32, "c" * 32


def test_a_cache_key_opens_for_whom_it_was_issued_also_after_a_restart():
    issued = CacheKeys("secret").issue(KEY, "ben", THUMBNAIL)
    assert CacheKeys("secret").open(issued, "ben", THUMBNAIL) == KEY


@pytest.mark.parametrize(("username", "thumbnail"), [("nia", THUMBNAIL), ("ben", OTHER), ("", THUMBNAIL)])
def test_it_opens_for_nobody_else(username, thumbnail):
    keys = CacheKeys("secret")
    with pytest.raises(NotFound):
        keys.open(keys.issue(KEY, "ben", THUMBNAIL), username, thumbnail)


def test_another_secret_opens_nothing():
    with pytest.raises(NotFound):
        CacheKeys("other").open(CacheKeys("secret").issue(KEY, "ben", THUMBNAIL), "ben", THUMBNAIL)


@pytest.mark.parametrize("forged", ["", KEY, KEY + "0" * 32, "../" + KEY, KEY + KEY + "\n"])
def test_what_was_never_issued_opens_nothing(forged):
    with pytest.raises(NotFound):
        CacheKeys("secret").open(forged, "ben", THUMBNAIL)
