"""The benchmarks against a real Superset run, with workers of its own, and count what they drew."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("superset", "dashboards a minute, against its waits 0"), ("half_drawn", "vitrine: charts | 4 | 0 |")],
)
def test_a_quick_benchmark_against_superset_prints_its_figures(name, expected):
    command = [sys.executable, "-m", "bench", name, "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    for missing in re.findall(r"not made: ({.*?})", done.stdout):
        assert set(json.loads(missing).values()) == {0}
