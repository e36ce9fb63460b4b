"""Results: rows into each backend and out again, Arrow in MessagePack against JSON, and the memory of a large result.

As a program, `python -m bench.results WHAT REDIS-URL KEY ROWS` takes one large result through, and prints its peak.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path

import pyarrow as pa

from bench.report import Conditions, Report, table
from shared.results import exports
from shared.results.envelope import Form
from shared.results.files import FileResults
from shared.results.memcached import MemcachedResults
from shared.results.memory import MemoryResults
from shared.results.port import Backend
from shared.results.redis import RedisResults
from shared.results.s3 import S3Results
from shared.results.sets import ResultSets
from tests.harness import Memcached, Redis, SeaweedFS
from tests.harness.process import run_folder
from tests.harness.seaweedfs import ACCESS_KEY, SECRET_KEY

ROOT = Path(__file__).parents[1]
EXPORTS = {"csv": exports.csv, "arrow": exports.arrow_ipc, "parquet": exports.parquet}
AIM_MIB = 400
STEP = 10_000  # rows of one batch, as the engines fetch them
MB = 1e6


@dataclass(frozen=True, slots=True)
class Passage:
    """One result set written, read whole, and its first page: seconds; bytes as kept."""

    write_s: float
    read_s: float
    page_s: float
    size: int


def run(*, quick: bool) -> Report:
    rows, rounds, many = (20_000, 1, 100_000) if quick else (1_000_000, 3, 5_000_000)
    before = Conditions(f"{rounds} rounds")
    report = Report("results", "Results backends", "")
    batches = list(sample(rows))
    with _backends() as backends:
        for one in backends.values():
            _passage(one, Form.ARROW, batches[:1])  # connects
        passed = {name: [_passage(one, Form.ARROW, batches) for _ in range(rounds)] for name, one in backends.items()}
    forms = {form: [_passage(MemoryResults(), form, batches) for _ in range(rounds)] for form in Form}
    report.tables += [_speeds(batches, passed), _forms(rows, forms), _memory(many)]
    report.notes.append(
        f"{before}. MB are those of the rows in memory. Written: in batches of {STEP:,} rows, kept, and read back "
        "before they count. Read: whole, a chunk at a time, as an export does; a page from the head on. Memory: the "
        "peak of a process of its own that does nothing else; the rows are made as they are written, and what is "
        "exported is thrown away."
    )
    return report


def _speeds(batches: list[pa.RecordBatch], passed: dict[str, list[Passage]]) -> str:
    rows, raw = sum(batch.num_rows for batch in batches), sum(batch.nbytes for batch in batches) / MB
    header = [f"{rows:,} rows, {raw:.0f} MB in memory", "write MB/s", "read MB/s", "first page of 1,000 rows, ms"]
    lines = []
    for name, runs in passed.items():
        write_s, read_s, page_s = (_median(runs, field) for field in ("write_s", "read_s", "page_s"))
        lines.append([name, f"{raw / write_s:.0f}", f"{raw / read_s:.0f}", f"{1000 * page_s:.1f}"])
    return table(header, lines)


def _forms(rows: int, forms: dict[Form, list[Passage]]) -> str:
    arrow, text = forms[Form.ARROW], forms[Form.JSON]
    fields = (("MB kept", "size", MB), ("s to write", "write_s", 1.0), ("s to read", "read_s", 1.0))
    lines = []
    for words, field, unit in fields:
        ours, peer = _median(arrow, field) / unit, _median(text, field) / unit
        lines.append([words, f"{ours:.2f}", f"{peer:.2f}", f"**{ours / peer:.2f}**"])
    return table([f"the same rows ({rows:,}), in memory", "Arrow in MessagePack", "JSON", "ratio"], lines)


def _median(runs: list[Passage], field: str) -> float:
    return float(statistics.median(getattr(run, field) for run in runs))


def _passage(backend: Backend, form: Form, batches: list[pa.RecordBatch]) -> Passage:
    sets, key, clock = ResultSets(backend, form=form, max_bytes=2**40), secrets.token_hex(8), [time.perf_counter()]
    with sets.writer(key, batches[0].schema, 3600) as writer:
        for batch in batches:
            writer.add(batch)
        stored = writer.commit()
    clock.append(time.perf_counter())
    assert sum(batch.num_rows for batch in sets.batches(key)) == stored.rows
    clock.append(time.perf_counter())
    assert sets.page(key, 0, 1000).num_rows == 1000
    clock.append(time.perf_counter())
    sets.delete(key)
    write_s, read_s, page_s = (after - before for before, after in pairwise(clock))
    return Passage(write_s, read_s, page_s, stored.bytes)


def _memory(rows: int) -> str:
    """Peaks of processes through which one large result goes, to Redis and from it."""
    lines = []
    with Redis() as redis:
        for what in ("write", *EXPORTS):
            line = [sys.executable, "-m", "bench.results", what, redis.url, "large", str(rows)]
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout)
            words = "written" if what == "write" else f"exported as {what}"
            lines.append(
                [words, f"{told['peak_mib']:.0f}", f"< {AIM_MIB}", f"{told['seconds']:.1f}", f"{told['mb']:.0f}"]
            )
    return table([f"{rows:,} rows", "peak RSS, MiB", "aim", "s", "MB kept or sent"], lines)


def _go(what: str, url: str, key: str, rows: int) -> None:
    sets, began = ResultSets(RedisResults(url, "bench_"), max_bytes=2**40), time.perf_counter()
    if what == "write":
        batches = sample(rows)
        first = next(batches)
        with sets.writer(key, first.schema, 3600) as writer:
            for batch in chain([first], batches):
                writer.add(batch)
            size = writer.commit().bytes
    else:
        size = sum(map(len, EXPORTS[what](sets.batches(key))))
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())  # ru_maxrss begins with the parent's
    assert peak is not None
    print(json.dumps({"peak_mib": int(peak[1]) / 1024, "seconds": time.perf_counter() - began, "mb": size / MB}))


@contextmanager
def _backends() -> Iterator[dict[str, Backend]]:
    with ExitStack() as stack:
        memcached = stack.enter_context(Memcached(memory_mb=2048))
        redis, seaweedfs = stack.enter_context(Redis()), stack.enter_context(SeaweedFS())
        url = f"s3://bench/results?endpoint={seaweedfs.endpoint}&region=us-east-1"
        yield {
            "memory": MemoryResults(),
            "file": FileResults(Path(tempfile.mkdtemp(prefix="results-", dir=run_folder()))),
            "memcached": MemcachedResults([("127.0.0.1", memcached.port)], "bench_"),
            "redis": RedisResults(redis.url, "bench_"),
            "s3 (SeaweedFS)": S3Results(url, access_key=ACCESS_KEY, secret_key=SECRET_KEY),
        }


def sample(rows: int) -> Iterator[pa.RecordBatch]:
    """Orders of a shop, the same each time: what a query of a warehouse gives."""
    chance, began = random.Random(20_000), datetime(2024, 1, 1, tzinfo=UTC)
    for first in range(0, rows, STEP):
        numbers = range(first, min(first + STEP, rows))
        yield pa.record_batch(
            {
                "id": pa.array(numbers, pa.int64()),
                "customer": pa.array([f"customer {chance.randrange(50_000):06d}" for _ in numbers]),
                "price": pa.array([Decimal(chance.randrange(99_999)) / 100 for _ in numbers], pa.decimal128(12, 2)),
                "weight": pa.array([chance.gauss(20, 5) for _ in numbers], pa.float64()),
                "at": pa.array([began + timedelta(seconds=37 * n + chance.randrange(37)) for n in numbers]),
                "note": pa.array([chance.choice((None, "left at door", "by hand", "again")) for _ in numbers]),
            }
        )


if __name__ == "__main__":
    _go(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
