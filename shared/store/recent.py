"""What a busy gateway need not fetch and check twice. The store's head tells whether it still stands."""

from __future__ import annotations

from shared.store.codec import Picture

MAX_BYTES = 16 * 2**20
MAX_BODY_BYTES = 256 * 2**10


class Recent:
    """Pictures lately read and found whole, by key.

    A head names its body by checksum, so a body found whole once is the body of an equal head. Above `max_bytes` of
    bodies those read first go first.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._known: dict[str, Picture] = {}
        self._bytes = 0
        self._max_bytes = max_bytes

    def find(self, key: str) -> Picture | None:
        """What was read last; only the store's head can tell whether it still stands."""
        return self._known.get(key)

    def keep(self, key: str, picture: Picture) -> None:
        """`picture` is whole; one that is large is not kept."""
        self._drop(key)
        if len(picture.body) > MAX_BODY_BYTES:
            return
        self._known[key] = picture
        self._bytes += len(picture.body)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._known)))

    def _drop(self, key: str) -> None:
        if known := self._known.pop(key, None):
            self._bytes -= len(known.body)
