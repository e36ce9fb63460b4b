"""What one Memcached says of itself. On a connection of its own: it is asked now and then, and never holds a get up."""

from __future__ import annotations

import asyncio

from shared.store.port import NodeStats

TIMEOUT_S = 1.0
MAX_LINES = 200


async def ask(name: str) -> NodeStats:
    """`name`: host:port. Never raises: a node that does not answer is not up, with the reason."""
    host, _, port = name.rpartition(":")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            told = await _told(host, int(port))
    except TimeoutError:
        return NodeStats(name, up=False, reason=f"no answer within {TIMEOUT_S:g} s")
    except (OSError, ValueError) as error:
        return NodeStats(name, up=False, reason=str(error) or type(error).__name__)
    return NodeStats(
        name,
        up=True,
        items=told["curr_items"],
        size_bytes=told["bytes"],
        limit_bytes=told["limit_maxbytes"],
        evictions=told["evictions"],
        hits=told["get_hits"],
        misses=told["get_misses"],
    )


async def _told(host: str, port: int) -> dict[str, int]:
    """Raises OSError; ValueError for an answer that is not Memcached's."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"stats\r\n")
        told = dict.fromkeys(("curr_items", "bytes", "limit_maxbytes", "evictions", "get_hits", "get_misses"), 0)
        for _ in range(MAX_LINES):
            line = (await reader.readline()).split()
            if line == [b"END"]:
                return told
            if len(line) < 2 or line[0] != b"STAT":
                break
            if (word := line[1].decode(errors="replace")) in told:
                told[word] = int(line[2])
        raise ValueError("the answer to `stats` is not Memcached's")
    finally:
        writer.close()
