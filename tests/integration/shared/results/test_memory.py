"""Memory does not grow with the rows: neither where they are written nor where they are exported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ROWS = (200_000, 1_500_000)
GROWTH_MIB = 48  # ten times less than the rows in memory would take
PROGRAM = """
import json, re, sys
from pathlib import Path
import pyarrow as pa
from shared.results import exports
from shared.results.files import FileResults
from shared.results.sets import ResultSets

folder, export, counts = Path(sys.argv[1]), sys.argv[2], [int(word) for word in sys.argv[3:]]
STEP = 10_000
schema = pa.schema({"n": pa.int64(), "text": pa.string()})
texts = pa.array([f"{number:040d}" for number in range(STEP)], pa.string())
sets = ResultSets(FileResults(folder), max_bytes=2**40)


def peak_mib():  # ru_maxrss begins with the peak of whoever started us
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024


peaks = []
for count in counts:
    if export == "write":
        with sets.writer(f"k{count}", schema, 600) as writer:
            for first in range(0, count, STEP):
                writer.add(pa.record_batch([pa.array(range(first, first + STEP), pa.int64()), texts], schema=schema))
            assert writer.commit().rows == count
    else:
        size = sum(map(len, getattr(exports, export)(sets.batches(f"k{count}"))))
        assert size > count
    peaks.append(peak_mib())
print(json.dumps(peaks))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def peaks(folder: Path, what: str) -> list[float]:
    """MiB at most, of a process of its own, after the few rows and after the many."""
    line = [sys.executable, "-c", PROGRAM, str(folder), what, *map(str, ROWS)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def written(folder: Path) -> tuple[Path, list[float]]:
    return folder, peaks(folder, "write")


def test_writing_more_rows_takes_no_more_memory(written: tuple[Path, list[float]]) -> None:
    _, (few, many) = written
    assert many < few + GROWTH_MIB
    assert many < 400


@pytest.mark.parametrize("export", ["csv", "arrow_ipc", "parquet"])
def test_exporting_more_rows_takes_no_more_memory(written: tuple[Path, list[float]], export: str) -> None:
    few, many = peaks(written[0], export)
    assert many < few + GROWTH_MIB
    assert many < 400
