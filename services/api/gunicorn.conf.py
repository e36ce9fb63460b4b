# ruff: noqa: N999  # the name is gunicorn's
"""gunicorn's configuration: `gunicorn -c services/api/gunicorn.conf.py services.api.wsgi:app`."""

import math
import shutil
import tempfile
from typing import Any

from shared.errors import InvalidInput
from shared.settings import load

try:
    _settings = load()
except InvalidInput as error:
    raise SystemExit(error.message) from None  # one line; gunicorn would print a traceback

_metrics_dir = tempfile.mkdtemp(prefix="vitrine-gateway-metrics-")  # one per master; the workers' counters meet there

wsgi_app = "services.api.wsgi:app"
worker_class = "services.api.worker.Worker"  # asgi, and ends without waiting for idle connections
http_parser = (
    "auto"  # gunicorn_h1c, in C, where it could be built (scripts/bootstrap.sh parser), else the one in Python
)
asgi_loop = "auto"  # uvloop where it is installed
asgi_lifespan = "on"
control_socket_disable = True  # on by default, at a path that all gunicorns of a user share

bind = _settings.bind
workers = _settings.workers
timeout = 60
graceful_timeout = math.ceil(_settings.sqllab_timeout_s) + 5  # a query that somebody waits for is still answered
keepalive = 15
backlog = 1024
limit_request_line = 0  # a data mask may stand in a query; our own limit is MAX_QUERY_CHARACTERS
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={_metrics_dir}"]

accesslog = None  # we write our own, with the correlation id
errorlog = "-"
loglevel = "warning"


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    shutil.rmtree(_metrics_dir, ignore_errors=True)
