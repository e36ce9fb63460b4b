"""The store: pictures, claims and states behind one port; where it is stands in the setting `store_url`."""

from __future__ import annotations

from typing import Literal

from shared.errors import InvalidInput
from shared.settings import Settings
from shared.store.addresses import parse_addresses
from shared.store.disk import Disk
from shared.store.memcached import open_memcached
from shared.store.memcached_async import open_memcached_async
from shared.store.memory import Memory
from shared.store.pictures import Pictures
from shared.store.port import KeyValue

__all__ = ["open_store", "pictures_in"]

Side = Literal["renderer", "gateway"]
_memories: dict[tuple[str, str], Memory] = {}  # memory:// is one store for all parts that run in this process


def open_store(settings: Settings, *, side: Side) -> KeyValue:
    """The store that the settings name; it connects when first used. Raises InvalidInput for a URL that names no store.

    Scheduler and command line are on the renderer's side. `memory://` is shared by all who open it in this process with
    the same `store_url` and `state_dir`.
    """
    scheme, _, rest = settings.store_url.partition("://")
    if scheme == "memcached":
        addresses = parse_addresses(rest, "store_url")
        return open_memcached_async(addresses) if side == "gateway" else open_memcached(addresses)
    if scheme == "disk" and not rest:
        return Disk(settings.state_dir / "store.sqlite")
    if scheme == "memory":
        return _memories.setdefault((rest, str(settings.state_dir.resolve())), Memory())
    raise InvalidInput(
        "VITRINE_STORE_URL: it must be memcached://HOST:PORT[,HOST:PORT…], disk:// or memory://.", field="store_url"
    )


def pictures_in(store: KeyValue, settings: Settings) -> Pictures:
    """The pictures in that store, under the prefix of the settings."""
    return Pictures(store, settings.store_prefix, ttl_s=settings.picture_ttl_s, fresh_s=settings.picture_fresh_s)
