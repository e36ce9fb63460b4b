"""The generated message code is what proto/ says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GENERATED = Path("shared/messages/vitrine/v1")


def test_generated_messages_are_not_stale(tmp_path: Path) -> None:
    subprocess.run(
        ["scripts/generate_messages.sh", str(tmp_path)],
        check=True,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
    )
    fresh = {path.name: path.read_text() for path in (tmp_path / "vitrine/v1").iterdir()}
    kept = {path.name: path.read_text() for path in GENERATED.glob("*_pb2.py*")}
    assert kept == fresh, "run: make messages"
