"""A private Superset with its bundled examples: installed once (scripts/superset.sh), its databases copied for each.

Its people are added through its own API: `ann` (Gamma with the examples), `ben` (the same, and a row-level rule),
`dan` (as ann; tests may change his password), `eve` (no access to any data), and `vitrine`, the reading account, with
the rights of docs/superset.md and no others.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.harness.errors import HarnessError
from tests.harness.process import ManagedProcess
from tests.harness.server import Server

ROOT = Path(__file__).parents[2]
SECRET_KEY = "of-the-tests-and-of-nothing-else"
ADMIN = "admin"
PASSWORD = "an-apple-a-day"
READER = "vitrine"
PEOPLE = {
    "ann": ["Gamma", "Examples"],
    "ben": ["Gamma", "Examples", "Girls"],
    "dan": ["Gamma", "Examples"],
    "eve": ["Gamma"],
    READER: ["Vitrine"],
}
ROLES = {
    "Examples": [("all_datasource_access", "all_datasource_access")],
    "Girls": [],
    "Vitrine": [
        ("can_read", "Dashboard"),
        ("can_read", "Chart"),
        ("can_read", "Dataset"),
        ("can_read", "Row Level Security"),
        ("can_read", "Log"),
        ("can_get", "User"),
        ("can_read", "CurrentUserRestApi"),
        ("all_datasource_access", "all_datasource_access"),
    ],
}
RULE = {"name": "girls only", "filter_type": "Regular", "clause": "gender = 'girl'", "group_key": "", "description": ""}
RULED_TABLE = "birth_names"


@cache
def installed() -> Path:
    """The folder of the installation; installs it when it is not there, which takes some minutes."""
    done = subprocess.run([str(ROOT / "scripts/superset.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise HarnessError("Superset could not be installed: run scripts/superset.sh to see why")
    return Path(done.stdout.strip())


class Superset(Server):
    """`threads` of one gunicorn worker. `settings`: more environment, which tests/superset/superset_config.py reads."""

    name = "superset"
    start_timeout_s = 180

    def __init__(self, *, threads: int = 8, **settings: str) -> None:
        self.program = installed() / "venv" / "bin"
        super().__init__()
        shutil.copytree(installed() / "home", self.folder / "home")
        self.url = f"http://127.0.0.1:{self.port}"
        self.user_ids = {ADMIN: 1}
        self.environment = {
            "PATH": f"{self.program}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "SUPERSET_HOME": str(self.folder / "home"),
            "SUPERSET_SECRET_KEY": SECRET_KEY,
            "SUPERSET_CONFIG_PATH": str(ROOT / "tests/superset/superset_config.py"),
            "FLASK_APP": "superset",
            **settings,
        }
        command: list[str | Path] = [self.program / "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        command += [
            "--threads",
            str(threads),
            "--timeout",
            "0",
            "--access-logfile",
            "-",
            "--no-control-socket",
            "superset.app:create_app()",
        ]
        self.processes = [ManagedProcess(command, folder=self.folder, name=self.name, env=self.environment)]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def add_people(self) -> None:
        """Roles, people, and the rule that shows the role Girls no boys."""
        with contextlib.closing(self.person(ADMIN)) as admin:
            rights = {
                (row["permission"]["name"], row["view_menu"]["name"]): row["id"]
                for row in _every(admin, "/api/v1/security/permissions-resources/")
            }
            roles = {row["name"]: row["id"] for row in _every(admin, "/api/v1/security/roles/")}
            for name, wanted in ROLES.items():
                roles[name] = _post(admin, "/api/v1/security/roles/", {"name": name})["id"]
                held = {"permission_view_menu_ids": [rights[right] for right in wanted]}
                _post(admin, f"/api/v1/security/roles/{roles[name]}/permissions", held)
            for username, names in PEOPLE.items():
                body: dict[str, Any] = {
                    "username": username,
                    "first_name": username.title(),
                    "last_name": "Example",
                    "active": True,
                }
                body |= {"email": f"{username}@example.org", "password": PASSWORD, "roles": [roles[n] for n in names]}
                self.user_ids[username] = _post(admin, "/api/v1/security/users/", body)["id"]
            tables = {row["table_name"]: row["id"] for row in _every(admin, "/api/v1/dataset/")}
            rule = RULE | {"tables": [tables[RULED_TABLE]], "roles": [roles["Girls"]]}
            _post(admin, "/api/v1/rowlevelsecurity/", rule)

    def person(self, username: str) -> httpx.Client:
        """Somebody's signed-in browser, as far as HTTP goes: the session cookie and what a PUT or POST needs."""
        password = ADMIN if username == ADMIN else PASSWORD
        client = httpx.Client(base_url=self.url, timeout=60, follow_redirects=False)
        answer = client.post(
            "/api/v1/security/login",
            json={"username": username, "password": password, "provider": "db", "refresh": False},
        )
        if answer.status_code != 200:
            raise HarnessError(f"{username} may not log in: {answer.status_code} {answer.text}")
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        client.headers["Referer"] = self.url
        client.headers["X-CSRFToken"] = client.get("/api/v1/security/csrf_token/").json()["result"]
        return client


def _every(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        answer = client.get(path, params={"q": f"(page:{len(rows) // 100},page_size:100)"}).raise_for_status().json()
        rows += answer["result"]
        if len(rows) >= answer["count"] or not answer["result"]:
            return rows


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    if answer.is_error:
        raise HarnessError(f"Superset refused {path}: {answer.status_code} {answer.text[:500]}")
    made: dict[str, Any] = answer.json()
    return made
