"""A private RabbitMQ with its own epmd, its own data folder and the management API."""

import contextlib
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Vhost:
    """One virtual host of a server: what a test talks to."""

    server: "RabbitMQ"
    name: str

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.server.port}/{quote(self.name, safe='')}"

    @contextlib.contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            yield connection.channel()

    def queue_names(self) -> list[str]:
        return sorted(queue["name"] for queue in self.server.api("GET", f"queues/{quote(self.name, safe='')}"))

    def message_count(self, queue: str) -> int:
        """Messages ready for a consumer (not those in flight); 0 when there is no such queue."""
        return self._declared(queue)[0]

    def consumer_count(self, queue: str) -> int:
        return self._declared(queue)[1]

    def publish(self, queue: str, body: bytes, **properties: Any) -> None:
        """Publishes a persistent message to a queue as it is, with confirms."""
        with self.channel() as channel:
            channel.confirm_delivery()
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)

    def get(self, queue: str) -> bytes | None:
        """Takes one message off a queue; None when it is empty."""
        with self.channel() as channel:
            _, _, body = channel.basic_get(queue, auto_ack=True)
            return body

    def _declared(self, queue: str) -> tuple[int, int]:
        with self.channel() as channel:
            try:
                found = channel.queue_declare(queue, passive=True).method
            except ChannelClosedByBroker as error:
                if error.reply_code == 404:
                    return 0, 0
                raise
            return found.message_count, found.consumer_count


class RabbitMQ(Server):
    """User and password are `guest`. Everything but the data listens on loopback; it runs as whoever runs the tests."""

    name = "rabbitmq"
    start_timeout_s = 120

    def __init__(self, *, consumer_timeout_s: float = 0) -> None:
        """`consumer_timeout_s`: after which it takes unacknowledged messages back; 0: its default, 30 minutes."""
        server = find_program(
            "/usr/lib/rabbitmq/bin/rabbitmq-server",  # not Debian's wrapper in PATH: that one switches user
            "rabbitmq-server",
            package="rabbitmq-server",
        )
        super().__init__()
        management, distribution, epmd = (self._another_port() for _ in range(3))
        self.management_url = f"http://127.0.0.1:{management}"
        self._write_configuration(management)
        arguments = "-kernel inet_dist_use_interface {127,0,0,1}"
        if consumer_timeout_s:  # looked at once in a tick
            arguments += f" -rabbit consumer_timeout {int(consumer_timeout_s * 1000)} channel_tick_interval 500"
        environment = {
            "HOME": str(self.folder),  # the Erlang cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_NODENAME": "vitrine@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments,
            "RUNNING_UNDER_SYSTEMD": "true",  # the start script then becomes the server instead of guarding it
        }
        self.processes = [
            # In the foreground and ours: the server would otherwise start a daemon that outlives it.
            ManagedProcess([find_program("epmd", package="erlang-base")], folder=self.folder, env=environment),
            ManagedProcess([server], folder=self.folder, name=self.name, env=environment, cwd=self.folder),
        ]

    @property
    def default(self) -> Vhost:
        return Vhost(self, "/")

    @property
    def url(self) -> str:
        return self.default.url

    def is_ready(self) -> bool:
        try:
            self.api("GET", "overview")
            with self.default.channel():
                return True
        except (OSError, AMQPError):
            return False

    def create_vhost(self) -> Vhost:
        vhost = Vhost(self, f"test-{next(_numbers)}")
        self.api("PUT", f"vhosts/{vhost.name}")
        return vhost

    def delete_vhost(self, vhost: Vhost) -> None:
        """With its queues; closes the connections to it."""
        with contextlib.suppress(urllib.error.HTTPError):
            self.api("DELETE", f"vhosts/{vhost.name}")

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request to the management API."""
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, self.management_url, "guest", "guest", is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.management_url}/api/{path}", data, method=method)
        with opener.open(request, timeout=10) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def _write_configuration(self, management_port: int) -> None:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": management_port,
            "management_agent.disable_metrics_collector": "false",  # /ops tells rates
            "collect_statistics_interval": 1000,
            "loopback_users.guest": "true",
            "vm_memory_high_watermark.absolute": "512MB",
            "disk_free_limit.absolute": "50MB",
            "log.file": "false",
            "log.console": "true",
            "log.console.level": "warning",
        }
        lines = (f"{key} = {value}\n" for key, value in settings.items())
        (self.folder / "rabbitmq.conf").write_text("".join(lines))
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
