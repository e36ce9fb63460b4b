"""The product as its operators run it, on private ports: black box, nothing of `services` or `shared` is imported.

`Stack(folder, broker_url=…, store_url=…)` has a catalog of its own (tests/system/catalog) with its people, and three
processes, `gateway`, `renderer` and `scheduler`, that are started one by one or together. The renderer reaches the
gateway through `proxy`, which can hold, break or change what passes. `code={"renderer": folder}` runs a process from
another version's source.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from tests.harness.chromium import find_chromium
from tests.harness.errors import HarnessError
from tests.harness.person import PASSWORD, Person
from tests.harness.polling import wait_until
from tests.harness.ports import free_port, release_port
from tests.harness.process import ManagedProcess, command_of, run_folder
from tests.sites.proxy import FaultProxy

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "tests" / "system" / "catalog" / "catalog.yaml"
SECRET = "9b1f7c22d04e4f6ab8d3e5a1c7f02946"
PEOPLE = ("ada", "nora", "nina", "sven", "hugo", "guy")
QUEUE = "vitrine_render_v1"
PYTHON = [sys.executable, "-m"]
COMMANDS = {
    "gateway": [*PYTHON, "gunicorn", "-c", "services/api/gunicorn.conf.py", "services.api.wsgi:app"],
    "renderer": [*PYTHON, "dramatiq", "services.renderer.worker", "--processes", "1", "--threads", "2"],
    "scheduler": [*PYTHON, "services.scheduler"],
    "querying": [*PYTHON, "services.renderer.query_worker"],
    "up": [*PYTHON, "services.cli", "up"],
}
START_S = 90  # on a loaded machine
_templates: dict[str, Path] = {}
_numbers = itertools.count(1)


class Stack:
    """`settings` are those of the product, in lower case. Without a broker only `up` can run, embedded."""

    def __init__(
        self,
        *,
        broker_url: str = "",
        store_url: str = "",
        metadata_url: str = "",
        code: Mapping[str, Path] | None = None,
        **settings: object,
    ) -> None:
        self.folder = run_folder() / f"stack-{next(_numbers)}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_ports = {name: free_port() for name in ("renderer", "scheduler", "warming", "query")}
        self.metadata_url = metadata_url
        self.proxy = FaultProxy(self.url)
        self.people: dict[str, Person] = {}
        places = {"broker_url": broker_url, "store_url": store_url, "metadata_url": metadata_url}
        values = self._defaults() | {name: url for name, url in places.items() if url} | settings
        self.environment = {f"VITRINE_{name.upper()}": str(value) for name, value in values.items()}
        if metadata_url:
            self.folder.mkdir()
            _fill(self)
        else:
            shutil.copytree(template(), self.folder)
        self.processes = {name: self.process(name, (code or {}).get(name, ROOT)) for name in COMMANDS}
        self.ids = {slug: f"{kind}/{number}" for slug, kind, number in self.rows(_IDS)}

    def _defaults(self) -> dict[str, object]:
        """What each test may change with its settings."""
        return {
            "secret_key": SECRET,
            "state_dir": self.folder,
            "bind": f"127.0.0.1:{self.port}",
            "base_url": self.url,
            "internal_url": self.proxy.url,
            "chromium": find_chromium(),
            "log_format": "json",
            "access_cache_s": 0,
            "retry_after_s": 1,
            "error_retry_s": 30,
            "refresh_interval_s": 1,
            "lease_s": 4,
            "login_attempts_per_minute": 1000,
            **{f"{name}_metrics_port": port for name, port in self.metrics_ports.items()},
        }

    def process(self, name: str, source: Path) -> ManagedProcess:
        environment = self.environment | {"PYTHONPATH": str(source)}
        return ManagedProcess(COMMANDS[name], folder=self.folder, name=name, env=environment, cwd=source)

    def start(self, *names: str) -> Self:
        """Starts processes side by side (by default gateway and renderer) and returns when they are ready."""
        names = names or ("gateway", "renderer")
        for name in names:
            self.processes[name].start()
        for name in names:
            self.wait_ready(name)
        return self

    def wait_ready(self, name: str) -> None:
        process = self.processes[name]
        if name in ("gateway", "up"):
            process.wait_for_http(f"{self.url}/readyz", START_S)
        if name in ("renderer", "up"):
            process.wait_for_log("browser_pool_started", START_S)
        if name == "scheduler":
            process.wait_for_log("lead_changed", START_S)
        if name in ("querying", "up"):
            process.wait_for_log("querying_started", START_S)

    def stop(self, *names: str) -> None:
        for name in names or tuple(reversed(COMMANDS)):
            self.processes[name].stop()

    def kill(self) -> None:
        """Of everything, the quick way."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(ManagedProcess.kill_tree, self.processes.values()))

    def close(self) -> None:
        for person in self.people.values():
            person.client.close()
        self.kill()
        self.proxy.close()
        for port in (self.port, *self.metrics_ports.values()):
            release_port(port)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def gateway(self) -> ManagedProcess:
        return self.processes["gateway"]

    @property
    def renderer(self) -> ManagedProcess:
        return self.processes["renderer"]

    # --- what its people and operators do -----------------------------------------------------------------------------

    def login(self, username: str) -> Person:
        """Raises HarnessError when the gateway does not let them in. Logged in once for each stack."""
        if username not in self.people:
            self.people[username] = Person(self.url, username, self.ids)
        return self.people[username]

    def vitrine(
        self, *words: str, text: str = "", timeout_s: float = 90, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """One run of the command line, to its end. `changes`: settings of this run alone."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")}
        environment |= self.environment | {f"VITRINE_{name.upper()}": value for name, value in changes.items()}
        command = [*PYTHON, "services.cli", *words]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            input=text,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def load(self, old: str, new: str, *more: tuple[str, str]) -> None:
        """Loads the catalog again, with one edit, or some more."""
        text = CATALOG.read_text()
        for before, after in ((old, new), *more):
            assert before in text
            text = text.replace(before, after)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            shutil.copy(CATALOG.with_name("sales.csv"), folder)
            edited = Path(folder, "catalog.yaml")
            edited.write_text(text)
            done = self.vitrine("catalog", "load", str(edited))
        assert done.returncode == 0, done.stderr

    # --- looking inside, as an operator can ---------------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Of the metadata database."""
        with self._database() as database:
            return database.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with self._database() as database:
            database.execute(sql)
            database.commit()

    def _database(self) -> contextlib.AbstractContextManager[Any]:
        if self.metadata_url:
            return psycopg.connect(self.metadata_url)
        return contextlib.closing(sqlite3.connect(self.folder / "metadata.sqlite", timeout=10))

    def renders(self, key_of: str, username: str) -> list[tuple[str, str, str, str]]:
        """(status, origin, correlation id, timeline) of the render records of a target for a user, oldest first."""
        kind, number = self.ids[key_of].split("/")
        return self.rows(
            "SELECT status, origin, correlation_id, timeline FROM render_records"
            f" WHERE target_kind = '{kind}' AND target_id = '{number}' AND executor = '{username}' ORDER BY started_at"
        )

    def until_renders(self, key_of: str, username: str, count: int) -> list[tuple[str, str, str, str]]:
        """The same, once there are so many: a record is written behind the picture or the status that it tells of."""
        what = f"{count} records of {key_of}"
        return wait_until(lambda: found if len(found := self.renders(key_of, username)) >= count else None, 10, what)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of a process since its last start."""
        lines = (line for line in self.processes[name].log.splitlines() if line.startswith("{"))
        return [json.loads(line) for line in lines]

    def worker(self) -> psutil.Process:
        """The renderer's worker process: the one that has a driver below it."""
        return self.driver().parent() or _missing("worker")

    def driver(self) -> psutil.Process:
        """Playwright's node driver."""
        return self._find(lambda process: "run-driver" in command_of(process))

    def browser(self) -> psutil.Process:
        """Chromium's own first process, not the shell script that starts it."""
        return self._find(lambda process: _is_browser(command_of(process)))

    def pages(self) -> list[psutil.Process]:
        """Chromium's renderer processes."""
        return [process for process in self._family() if _type(process) == "--type=renderer"]

    def _family(self) -> list[psutil.Process]:
        return [process for service in self.processes.values() for process in service.survivors()]

    def _find(self, fits: Any) -> psutil.Process:
        return next(filter(fits, self._family()), None) or _missing("such process")


_IDS = (
    "SELECT slug, 'chart', CAST(id AS TEXT) FROM charts UNION ALL"
    " SELECT slug, 'dashboard', CAST(id AS TEXT) FROM dashboards"
)


def _is_browser(command: list[str]) -> bool:
    is_script = Path(command[0]).name in ("sh", "bash", "dash") if command else True
    return not is_script and any("--user-data-dir=" in word for word in command) and "--type=" not in " ".join(command)


def _type(process: psutil.Process) -> str:
    return next((word for word in command_of(process) if word.startswith("--type=")), "")


def _missing(what: str) -> Any:
    raise HarnessError(f"the renderer has no {what}")


def template() -> Path:
    """A state folder with the catalog and its people, made once for the run."""
    if "sqlite" not in _templates:
        folder = run_folder() / "stack-template"
        folder.mkdir()
        stack = object.__new__(Stack)
        stack.folder, stack.metadata_url = folder, ""
        stack.environment = {"VITRINE_SECRET_KEY": SECRET, "VITRINE_STATE_DIR": str(folder)}
        _fill(stack)
        _templates["sqlite"] = folder
    return _templates["sqlite"]


def _fill(stack: Stack) -> None:
    """Tables, catalog, and one password for everybody: it is set once and copied, as each command takes its time."""
    first, *others = PEOPLE
    create = ("users", "create", first, "--password-stdin", "--update")
    for words in (("db", "upgrade"), ("catalog", "load", str(CATALOG)), create):
        done = stack.vitrine(*words, text=f"{PASSWORD}\n")
        if done.returncode:
            raise HarnessError(f"vitrine {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    stack.execute(
        f"UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE username = '{first}')"
        f" WHERE username IN {tuple(others)}"
    )
