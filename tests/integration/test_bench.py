"""The benchmarks that need no peer of their own still run; their figures say nothing here."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bench.replay import START, WEEKS, hit_rate, make_log
from bench.warm import STRATEGIES
from shared.warmup.strategies import PUBLIC

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("queue", "messages/s consumed by 2 threads"),
        ("memory", "PSS, MiB"),
        ("results", "s3 (SeaweedFS)"),
    ],
)
def test_a_quick_benchmark_prints_its_figures(name: str, expected: str) -> None:
    done = run(name, "--quick")
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if line.startswith(f"| {expected} |"))
    assert re.search(r"\| +[1-9][\d,]* \|", row)
    assert done.stdout.startswith("Machine: ")


def test_an_unknown_benchmark_is_refused_with_the_names_of_all() -> None:
    done = run("pictures", "nonsense")
    assert done.returncode == 2
    assert (
        "'nonsense' is none of pictures, thumbnails, queue, memory, warm, queries, results, superset, " in done.stderr
    )


def test_a_quick_run_never_becomes_a_figure_of_the_documents() -> None:
    before = (ROOT / "docs" / "benchmarks.md").read_bytes()
    assert run("queue", "--quick", "--write").returncode == 2
    assert (ROOT / "docs" / "benchmarks.md").read_bytes() == before


def run(*words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bench", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)


def test_every_public_strategy_has_a_rate_on_the_replayed_log() -> None:
    log = make_log(3_000)
    hours = [START + timedelta(weeks=WEEKS - 1, hours=hour) for hour in (8, 9)]
    rates = {name: hit_rate(log, name, parameters(log, 100), hours, 100) for name, parameters in STRATEGIES.items()}
    assert set(rates) == set(PUBLIC)
    assert all(0 < rate < 1 for rate in rates.values()), rates
