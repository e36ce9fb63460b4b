"""Who is at the other end of a connection, and what may be believed of it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from falcon.asgi import Request

from shared.network_settings import Network

_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def client_address(req: Request, trusted_proxies: tuple[Network, ...]) -> str:
    """The peer; behind a proxy that is trusted or on this machine, the last address it saw. Never what the client
    claims.
    """
    peer, forwarded = _peer(req), req.get_header("X-Forwarded-For")
    by_proxy = not peer or _is_in(peer, trusted_proxies)
    return forwarded.rsplit(",", 1)[-1].strip() if forwarded and by_proxy else peer


def is_near(req: Request, networks: tuple[Network, ...]) -> bool:
    """From this machine or one of the networks, and not through a proxy there."""
    peer = _peer(req)
    return bool(peer) and _is_in(peer, networks) and not any(req.get_header(name) for name in _FORWARDED)


def _is_in(peer: str, networks: tuple[Network, ...]) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in networks)


def _peer(req: Request) -> str:
    """Empty for a Unix socket, whose peer can only be a proxy."""
    client = req.scope.get("client")
    return str(next(iter(client), "")) if client else ""
