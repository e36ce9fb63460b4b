"""Loopback ports that stay ours, also while the server that used one is down.

Ports are taken below the kernel's ephemeral range, so that no outgoing connection can grab one between a kill and a
restart. An abstract Unix socket named after the port is the lock between test runs; the kernel drops it when we die.
"""

import random
import socket
from pathlib import Path

FIRST, LAST = 20_000, 32_000
_locks: dict[int, socket.socket] = {}


def free_port() -> int:
    """A port that nobody listens on and no other test run has taken; ours until `release_port` or our end."""
    candidates = range(FIRST, _end())
    for port in random.sample(candidates, len(candidates)):
        if port not in _locks and (lock := _lock(port)):
            if _is_free(port):
                _locks[port] = lock
                return port
            lock.close()
    raise RuntimeError(f"no free port between {FIRST} and {_end()}")


def release_port(port: int) -> None:
    """Gives a port back."""
    if lock := _locks.pop(port, None):
        lock.close()


def accepts(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end() -> int:
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return min(LAST, ephemeral) if ephemeral > FIRST + 1000 else LAST


def _lock(port: int) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0vitrine-tests-port-{port}")
    except OSError:
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
