"""A private MariaDB."""

import itertools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pymysql

from tests.harness.accounts import run_as, unprivileged_user
from tests.harness.errors import HarnessError
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

_numbers = itertools.count(1)
_GRANTS = """CREATE USER IF NOT EXISTS vitrine@'%' IDENTIFIED BY 'pass/word';
GRANT ALL ON *.* TO vitrine@'%';
"""


@dataclass(frozen=True)
class MariaSchema:
    """One database of a server."""

    server: "MariaDB"
    name: str

    @property
    def url(self) -> str:
        return f"mysql://vitrine:pass%2Fword@127.0.0.1:{self.server.port}/{self.name}"


class MariaDB(Server):
    """User `vitrine` with a password and every right, loopback only. Durable across the server's death only."""

    name = "mariadb"

    def __init__(self) -> None:
        server = find_program("mariadbd", package="mariadb-server-core")
        install = find_program("mariadb-install-db", package="mariadb-server-core")
        super().__init__()
        self._user = unprivileged_user("nobody")
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self._data, self._user)
        self._run([install, "--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"])
        grants = self.folder / "grants.sql"
        grants.write_text(_GRANTS)
        settings = {
            "datadir": self._data,
            "port": self.port,
            "bind-address": "127.0.0.1",
            "socket": self._data / "s",
            "pid-file": self._data / "pid",
            "init-file": grants,
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-buffer-pool-size": "32M",
            "innodb-log-file-size": "8M",
            "skip-name-resolve": 1,
            "performance-schema": 0,
        }
        command: list[str | Path] = [server, "--no-defaults", *(f"--{key}={value}" for key, value in settings.items())]
        self.processes = [ManagedProcess(command, folder=self.folder, name=self.name, cwd=self._data, user=self._user)]

    def is_ready(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (pymysql.err.MySQLError, OSError):
            return False
        return True

    def create_database(self) -> MariaSchema:
        made = MariaSchema(self, f"test_{next(_numbers)}")
        self.execute(f"CREATE DATABASE {made.name} CHARACTER SET utf8mb4")
        return made

    def drop_database(self, made: MariaSchema) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {made.name}")

    def execute(self, sql: str, database: str | None = None) -> list[tuple]:
        with (
            pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user="vitrine",
                password="pass/word",
                connect_timeout=5,
                database=database,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _run(self, command: list) -> None:
        done = subprocess.run(
            command, cwd=self._data, capture_output=True, text=True, check=False, **run_as(self._user)
        )
        if done.returncode:
            self.close()
            raise HarnessError(f"{command[0]} failed: {done.stdout}{done.stderr}")
