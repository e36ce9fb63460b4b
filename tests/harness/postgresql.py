"""A private PostgreSQL."""

import itertools
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.harness.accounts import run_as, unprivileged_user
from tests.harness.errors import HarnessError
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """One database of a server; `url` is what SQLAlchemy and psycopg take."""

    server: "PostgreSQL"
    name: str

    @property
    def url(self) -> str:
        return f"postgresql://vitrine@127.0.0.1:{self.server.port}/{self.name}"


class PostgreSQL(Server):
    """Superuser `vitrine`, no password, loopback only.

    It does not fsync: data survive the death of the server, not of the machine.
    """

    name = "postgresql"

    def __init__(self) -> None:
        initdb = find_program("/usr/lib/postgresql/*/bin/initdb", "initdb", package="postgresql")
        super().__init__()
        self._user = unprivileged_user("postgres")
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self._data, self._user)
        self._initialise(initdb)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "200",
            "log_checkpoints": "off",
        }
        self.processes = [
            ManagedProcess(
                [
                    initdb.with_name("postgres"),
                    "-D",
                    self._data,
                    *(f"--{key}={value}" for key, value in settings.items()),
                ],
                folder=self.folder,
                name=self.name,
                cwd=self._data,
                user=self._user,
                stop_signal=signal.SIGINT,  # 'fast': does not wait for clients
            )
        ]

    @property
    def url(self) -> str:
        """The maintenance database; a test wants `create_database`."""
        return Database(self, "postgres").url

    def is_ready(self) -> bool:
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str = "") -> Database:
        database = Database(self, name or f"test_{next(_numbers)}")
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database.name)))
        return database

    def drop_database(self, database: Database) -> None:
        """Also ends the connections to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database.name)))

    def close(self) -> None:
        """Politely: a killed server would leave its shared memory behind."""
        self.stop()
        super().close()

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def _initialise(self, initdb: Path) -> None:
        options = ["--username=vitrine", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [initdb, "-D", self._data, *options],
            cwd=self._data,
            capture_output=True,
            text=True,
            check=False,
            **run_as(self._user),
        )
        if done.returncode:
            self.close()
            raise HarnessError(f"initdb failed: {done.stdout}{done.stderr}")
