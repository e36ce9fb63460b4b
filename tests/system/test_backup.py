"""The commands of docs/how-to/backup.md bring everything back that matters, on both databases."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.harness import Database, Vhost
from tests.harness.stack import ROOT, Stack

PAGE = ROOT / "docs" / "how-to" / "backup.md"


def run(name: str, stack: Stack, backup: Path) -> None:
    """One block of commands of the page, as it stands there."""
    (block,) = re.findall(rf"```sh {name}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    bin_folder = Path(sys.executable).parent
    environment = stack.environment | {"BACKUP": str(backup), "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-euc", block], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_of_a_running_installation_brings_back_people_and_catalog(
    kind: str, make_stack: Callable[..., Stack], vhost: Vhost, postgresql: Database, tmp_path: Path
) -> None:
    metadata_url = postgresql.url if kind == "postgresql" else ""
    stack = make_stack(broker_url=vhost.url, metadata_url=metadata_url).start("gateway")
    nina = stack.login("nina")
    before = {kind: nina.get(f"/api/v1/{kind}/").json()["ids"] for kind in ("chart", "dashboard")}
    run(f"backup-{kind}", stack, tmp_path)
    stack.stop("gateway")
    lose(stack, postgresql)
    run(f"restore-{kind}", stack, tmp_path)
    stack.start("gateway")
    # the token of before still holds, and so does the password
    assert {kind: nina.get(f"/api/v1/{kind}/").json()["ids"] for kind in before} == before
    stack.people.pop("nina").client.close()
    assert stack.login("nina").get("/api/v1/me/").status_code == httpx.codes.OK


def lose(stack: Stack, postgresql: Database) -> None:
    """The worst: database and state folder are gone, the store with them."""
    if stack.metadata_url:
        postgresql.server.drop_database(postgresql)
        postgresql.server.create_database(postgresql.name)
    for path in stack.folder.glob("*.sqlite*"):
        path.unlink()
