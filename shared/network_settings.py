"""The settings of what stands next to us: a part of `shared.settings.Settings`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_settings import NoDecode

Network = IPv4Network | IPv6Network


def _networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.0.0.0/24,fd00::/64: {error}") from None


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


class NetworkSettings(BaseModel):
    """Networks in CIDR notation; none by default. What is near the gateway, and how RabbitMQ keeps queues."""

    # Neighbours
    trusted_proxies: Networks = Field(
        (),
        description="Networks of the proxies before the gateway: their X-Forwarded-For tells who asks. A proxy on the "
        "gateway's own machine is always believed.",
    )
    metrics_networks: Networks = Field(
        (), description="Networks that may read the gateway's /metrics, besides its own machine; never through a proxy."
    )
    queue_type: Literal["classic", "quorum"] = Field(
        "classic", description="Of RabbitMQ's queues: quorum in a cluster. It can't be changed later: docs/deploy.md."
    )
