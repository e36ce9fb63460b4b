"""The Memcached nodes that a setting names. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.errors import InvalidInput

MEMCACHED_PORT = 11211


def parse_addresses(text: str, setting: str) -> list[tuple[str, int]]:
    """`HOST:PORT[,HOST:PORT…]`, what follows memcached:// in that setting. Raises InvalidInput that names it."""
    return [_address(part.strip(), setting) for part in text.rstrip("/").split(",")]


def _address(text: str, setting: str) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPv6]:PORT; the host as written, since it is part of the node's name in the ring."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or MEMCACHED_PORT
    except ValueError:
        raise _no_address(f"{text!r} is no HOST:PORT", setting) from None
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    if not host or "@" in host or parts.path:
        raise _no_address("each Memcached is HOST:PORT, without a user or a path", setting)
    return host.strip("[]"), port


def _no_address(why: str, setting: str) -> InvalidInput:
    return InvalidInput(f"VITRINE_{setting.upper()}: {why}.", field=setting)
