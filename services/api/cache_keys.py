"""The `cache_key` that clients get: a picture's key bound to who may fetch it.

The store's key alone would be a bearer secret for anybody who learns it. A cache key holds only for the principal that
it was issued to, for its target, and for as long as that principal's access is what it was: the thumbnail's key stands
in for target, executor and row-level rules (each is part of it). No state is kept, so that it survives restarts.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from shared.errors import NotFound

_FORM = re.compile(r"([0-9a-f]{32})([0-9a-f]{32})")


class CacheKeys:
    """Issues and checks cache keys: 64 hex digits, the picture's key and a MAC."""

    def __init__(self, secret: str) -> None:
        self._secret = hmac.new(secret.encode(), b"vitrine cache key", hashlib.sha256).digest()

    def issue(self, key: str, username: str, thumbnail_key: str) -> str:
        """`thumbnail_key`: of the same target, as this principal sees it now."""
        return key + self._mac(key, username, thumbnail_key)

    def open(self, cache_key: str, username: str, thumbnail_key: str) -> str:
        """The picture's key. Raises NotFound for one that was issued to somebody else, for another target or access."""
        match = _FORM.fullmatch(cache_key)
        if match and hmac.compare_digest(match[2], self._mac(match[1], username, thumbnail_key)):
            return match[1]
        raise NotFound("There is no such picture.")

    def _mac(self, key: str, username: str, thumbnail_key: str) -> str:
        # JSON-free framing: both keys have a fixed length, so the user name cannot run into them.
        return hmac.new(self._secret, f"{key}{thumbnail_key}{username}".encode(), hashlib.sha256).hexdigest()[:32]
