"""Real servers for tests, started on this machine, private and disposable.

The harness imports nothing of `services` or `shared`: what tests the product must not depend on it.
"""

from tests.harness.chromium import find_chromium
from tests.harness.errors import HarnessError
from tests.harness.mariadb import MariaDB, MariaSchema
from tests.harness.memcached import Memcached
from tests.harness.polling import hold_true, wait_until, wait_until_async
from tests.harness.ports import free_port, release_port
from tests.harness.postgresql import Database, PostgreSQL
from tests.harness.process import ManagedProcess
from tests.harness.rabbitmq import RabbitMQ, Vhost
from tests.harness.redis import Redis
from tests.harness.seaweedfs import SeaweedFS
from tests.harness.superset import Superset

__all__ = [
    "Database",
    "HarnessError",
    "ManagedProcess",
    "MariaDB",
    "MariaSchema",
    "Memcached",
    "PostgreSQL",
    "RabbitMQ",
    "Redis",
    "SeaweedFS",
    "Superset",
    "Vhost",
    "find_chromium",
    "free_port",
    "hold_true",
    "release_port",
    "wait_until",
    "wait_until_async",
]
