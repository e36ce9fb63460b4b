"""A private Memcached."""

import socket

from tests.harness.accounts import unprivileged_user
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program


class Memcached(Server):
    """`memory_mb` in all, items up to `item_size` (memcached's own spelling: `1m`, `512k`)."""

    name = "memcached"
    start_timeout_s = 15

    def __init__(self, *, memory_mb: int = 64, item_size: str = "1m") -> None:
        program = find_program("memcached", package="memcached")
        super().__init__()
        options = ["-l", "127.0.0.1", "-p", self.port, "-U", 0, "-t", 2, "-m", memory_mb, "-I", item_size]
        if user := unprivileged_user():
            options += ["-u", user]
        self.processes = [ManagedProcess([program, *map(str, options)], folder=self.folder, name=self.name)]

    @property
    def url(self) -> str:
        return f"memcached://{self.address}"

    @property
    def address(self) -> str:
        """host:port, as pymemcache and aiomcache spell it."""
        return f"127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            return self.command("version").startswith("VERSION")
        except OSError:
            return False

    def flush(self) -> None:
        """Forgets every item. Lazily: `curr_items` goes on counting what no get finds any more."""
        answer = self.command("flush_all")
        assert answer == "OK", answer

    def stats(self) -> dict[str, str]:
        """`stats`: curr_items, evictions, cmd_get, get_hits, …"""
        rows = (line.split(" ", 2) for line in self.command("stats", end="END\r\n").splitlines())
        return {row[1]: row[2] for row in rows if row[0] == "STAT"}

    def set(self, key: str, value: bytes) -> None:
        answer = self.command(f"set {key} 0 0 {len(value)}", body=value)
        assert answer == "STORED", answer

    def command(self, line: str, end: str = "\r\n", body: bytes | None = None) -> str:
        """Sends one command of the text protocol, with its data block if it has one, and returns its answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{line}\r\n".encode() + (body + b"\r\n" if body is not None else b""))
            answer = b""
            while not answer.endswith(end.encode()):
                received = connection.recv(65536)
                if not received:
                    raise ConnectionError("memcached closed the connection")
                answer += received
        return answer.decode().rstrip()
