"""Where the rows of long queries are kept. Which backend that is stands in the setting `results_url`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import InvalidInput
from shared.results.envelope import Form
from shared.results.files import FileResults
from shared.results.memcached import MemcachedResults
from shared.results.memory import MemoryResults
from shared.results.port import Backend
from shared.results.sets import Head, ResultSets, Stored, Writer
from shared.settings import Settings
from shared.store.addresses import parse_addresses

__all__ = ["Head", "ResultSets", "Stored", "Writer", "open_results"]

GROUP = "vitrine.results"
MIB = 2**20
_memories: dict[tuple[str, str], MemoryResults] = {}  # memory:// is one backend for all parts that run in this process


def open_results(settings: Settings) -> ResultSets:
    """The results backend that the settings name; it connects when first used.

    Raises InvalidInput for a URL that names none, and for memory:// where gateway and workers are processes apart.
    """
    return ResultSets(
        open_backend(settings),
        form=Form.ARROW if settings.results_use_msgpack else Form.JSON,
        max_bytes=settings.results_max_mib * MIB,
    )


def open_backend(settings: Settings) -> Backend:
    """The bare backend, see `open_results`."""
    url = results_url(settings)
    scheme = url.partition("://")[0]
    if scheme in _BUILT_IN:
        return _BUILT_IN[scheme](url, settings)
    own = {point.name: point for point in entry_points(group=GROUP)}
    if scheme in own:
        return _load(own[scheme], url, settings)
    names = ", ".join(f"{name}://" for name in [*_BUILT_IN, *sorted(own)])
    raise _refused(f"{scheme}:// is no results backend; there are {names}")


def results_url(settings: Settings) -> str:
    """The effective URL: unless set, the store's Memcached if that is the store, else a folder in state_dir."""
    if settings.results_url or not settings.store_url.startswith("memcached://"):
        return settings.results_url or (settings.state_dir.resolve() / "results").as_uri()
    return settings.store_url


def _load(point: EntryPoint, url: str, settings: Settings) -> Backend:
    """A user's own class, called with the URL and the settings."""
    try:
        backend: Backend = point.load()(url, settings)
    except InvalidInput:
        raise
    except Exception as error:  # somebody's own class may raise anything
        raise _refused(f"{point.value} could not be opened: {type(error).__name__}: {error}") from error
    missing = [name for name in _METHODS if not hasattr(backend, name)]
    if missing:
        raise _refused(f"{point.value} is no results backend: it has no {', '.join(missing)}")
    return backend


def _memcached(url: str, settings: Settings) -> Backend:
    setting = "results_url" if settings.results_url else "store_url"
    return MemcachedResults(parse_addresses(url.partition("://")[2], setting), settings.results_prefix)


# What talks to a server that few have is imported only where it is used: it takes as long as all the rest.
def _redis(url: str, settings: Settings) -> Backend:
    from shared.results.redis import RedisResults

    return RedisResults(url, settings.results_prefix)


def _s3(url: str, settings: Settings) -> Backend:
    from shared.results.s3 import S3Results

    secret = settings.results_s3_secret_key.get_secret_value()
    return S3Results(url, access_key=settings.results_s3_access_key, secret_key=secret)


def _file(url: str, _: Settings) -> Backend:
    parts = urlsplit(url)
    if parts.netloc or parts.query or len(parts.path) < 2:
        raise _refused("a folder is file:///FOLDER, with three slashes")
    return FileResults(Path(unquote(parts.path)))


def _memory(url: str, settings: Settings) -> Backend:
    if not settings.embedded:
        raise _refused(
            "memory:// is the memory of one process, and with VITRINE_BROKER_URL gateway and workers are several; "
            "take memcached://, redis://, s3:// or file:///"
        )
    return _memories.setdefault((url, str(settings.state_dir.resolve())), MemoryResults())


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"VITRINE_RESULTS_URL: {why}.", field="results_url")


_METHODS = ("max_item_bytes", "put", "get", "delete", "sweep", "check", "close")
_BUILT_IN: dict[str, Callable[[str, Settings], Backend]] = {
    "memcached": _memcached,
    "redis": _redis,
    "rediss": _redis,
    "s3": _s3,
    "file": _file,
    "memory": _memory,
}
