"""A private Redis."""

from typing import Any

import redis

from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program


class Redis(Server):
    """In memory only. `options` are its own: `maxmemory="2mb"`, `requirepass="…"`."""

    name = "redis"
    start_timeout_s = 15

    def __init__(self, **options: str) -> None:
        program = find_program("redis-server", "valkey-server", package="redis-server")
        super().__init__()
        self._password = options.get("requirepass", "")
        settings = {"bind": "127.0.0.1", "port": self.port, "save": "", "appendonly": "no", "dir": self.folder}
        words = [word for name, value in (settings | options).items() for word in (f"--{name}", str(value))]
        self.processes = [ManagedProcess([program, *words], folder=self.folder, name=self.name)]

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def is_ready(self) -> bool:
        try:
            return bool(self.command("PING"))
        except redis.RedisError:
            return False

    def flush(self) -> None:
        self.command("FLUSHALL")

    def command(self, *words: str) -> Any:
        """Sends one command and returns its answer."""
        client: Any = redis.Redis.from_url(self.url, socket_timeout=5)
        try:
            return client.execute_command(*words)
        finally:
            client.close()
