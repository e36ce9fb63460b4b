"""What a browser may take: a third of the narrowest control group around us, within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.renderer import memory

GIB = 1024**3


@pytest.fixture
def allowance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`allowance("0::/system.slice/a", {"system.slice/memory.max": "max"})` on a machine of 64 GiB."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 64 * GIB}))

    def ask(groups: str, files: dict[str, str]) -> int:
        (tmp_path / "cgroup").write_text(groups + "\n")
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text + "\n")
        return memory.allowance_mib(tmp_path / "cgroup", tmp_path)

    return ask


@pytest.mark.parametrize(
    ("groups", "files", "mib"),
    [
        ("0::/", {}, 4000),  # no limit: the most
        ("0::/", {"memory.max": f"{9 * GIB}"}, 3072),  # a container
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": f"{6 * GIB}"}, 2048),  # a unit in a slice
        ("0::/", {"memory.max": f"{GIB}"}, 1500),  # the least
        ("4:cpu:/x\n3:memory:/x", {"memory/x/memory.limit_in_bytes": f"{6 * GIB}"}, 2048),  # version 1
    ],
)
def test_a_browser_may_take_a_third_of_what_there_is(allowance, groups, files, mib):
    assert allowance(groups, files) == mib


def test_without_control_groups_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 6 * GIB}))
    assert memory.allowance_mib(tmp_path / "none", tmp_path) == 2048
