"""What a page may reach. Pure: from HOST:PORT pairs to the browser's network rule, and to a predicate for one URL.

The wall is Chromium's `--host-resolver-rules`: it stands below every kind of request (redirects, workers, WebSockets,
prefetches). The MAP form is used because `EXCLUDE host` would leave the other ports of that host open, and because it
pins the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urlsplit

from shared.errors import InvalidInput

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
INLINE = ("data", "blob", "about")
FORBIDDEN_IN_RULES = set(' ,"*~')


def parse_pair(pair: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` → lower-case host without brackets, port. Raises InvalidInput."""
    host, _, port = pair.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]").rstrip(".").lower()
    if (
        not host
        or FORBIDDEN_IN_RULES & set(host)
        or not (port.isascii() and port.isdecimal())
        or not 0 < int(port) < 65_536
    ):
        raise InvalidInput(f"{pair!r} is no HOST:PORT pair, such as charts.example.org:443.", field="egress_hosts")
    return host, int(port)


def join_pair(host: str, port: int) -> str:
    """The one spelling of a pair: lower case, brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def pair_of(url: str) -> str | None:
    """The HOST:PORT pair that an http(s) or ws(s) URL reaches; None for any other URL."""
    parts = _split(url)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return join_pair(parts.hostname.rstrip(".").lower(), parts.port or DEFAULT_PORTS[parts.scheme])


def origin_of(url: str) -> str:
    """`scheme://host:port` with the port always given; "" for what has no origin."""
    parts, pair = _split(url), pair_of(url)
    return f"{parts.scheme}://{pair}" if parts is not None and pair else ""


class Egress:
    """The allow-list of one browser or one page. Raises InvalidInput for what is no HOST:PORT pair."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self.pairs: frozenset[str] = frozenset(join_pair(*parse_pair(pair)) for pair in pairs)

    def allowed(self, url: str) -> bool:
        """May a page ask for this URL? data:, blob: and about: leave nothing; any other scheme is refused."""
        parts = _split(url)
        return parts is not None and (parts.scheme in INLINE or pair_of(url) in self.pairs)

    def navigable(self, url: str) -> bool:
        """May a page *be* this URL? Only http and https, only on the list."""
        parts = _split(url)
        return parts is not None and parts.scheme in ("http", "https") and pair_of(url) in self.pairs


def resolver_rules(addresses: Mapping[str, str]) -> str:
    """The value of `--host-resolver-rules`: HOST:PORT → address. An empty address leaves the name to the resolver."""
    rules = []
    for pair in sorted(addresses):
        host, port = parse_pair(pair)
        rules.append(f"MAP {join_pair(host, port)} {join_pair(addresses[pair] or host, port)}")
    return ", ".join([*rules, "MAP * ~NOTFOUND"])


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return None
    return parts
