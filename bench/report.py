"""What a benchmark prints: a table of ratios, its peers and the machine, as Markdown that docs/benchmarks.md keeps."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.meter import family_cpu_s

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure, a figure of ours and one of the peer's for each round. The ratio is ours / peer's."""

    measure: str
    ours: Sequence[float]
    peer: Sequence[float]
    aim: str = ""
    digits: int = 0

    def cells(self) -> list[str]:
        ratios = sorted(a / b for a, b in zip(self.ours, self.peer, strict=True))
        spread = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} … {ratios[-1]:.2f})"
        return [self.measure, self._middle(self.ours), self._middle(self.peer), spread, self.aim]

    def _middle(self, figures: Sequence[float]) -> str:
        return f"{statistics.median(figures):,.{self.digits}f}"


@dataclass(slots=True)
class Report:
    """`peer`: its name and version. `notes`: how it was measured, what to bear in mind; one paragraph each."""

    name: str
    title: str
    peer: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)  # Markdown, printed after the ratios

    def markdown(self) -> str:
        parts = [f"`.venv/bin/python -m bench {self.name}`"]
        if self.rows:
            header = ["median of the rounds", "Vitrine", self.peer, "ratio: median (min … max)", "aim"]
            parts.append(table(header, [row.cells() for row in self.rows]))
        return "\n\n".join([*parts, *self.tables, *self.notes]) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """The machine in one line."""
    cpu = re.search(r"model name\s*: (.+)", _text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s+(\d+)", _text("/proc/meminfo"))
    system = re.search(r'PRETTY_NAME="(.+)"', _text("/etc/os-release"))
    parts = [
        f"{os.cpu_count()} × {cpu.group(1) if cpu else platform.processor()}",
        f"{int(memory.group(1)) // 2**20} GiB" if memory else "",
        system.group(1) if system else platform.system(),
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
    ]
    return ", ".join(part for part in parts if part)


class Conditions:
    """What the run was like. As text, at its end: when, and how much of the machine somebody else used meanwhile."""

    def __init__(self, rounds: str) -> None:
        self._rounds = rounds
        self._began = datetime.now(UTC)
        self._busy, self._ours = _busy_s(), family_cpu_s([os.getpid()])

    def __str__(self) -> str:
        seconds = (datetime.now(UTC) - self._began).total_seconds() * (os.cpu_count() or 1)
        others = (_busy_s() - self._busy) - (family_cpu_s([os.getpid()]) - self._ours)
        when = f"{self._began:%Y-%m-%d %H:%M} UTC"
        return f"{self._rounds}, {when}; others used {max(0.0, others / seconds):.0%} of the machine meanwhile"


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def keep(name: str, markdown: str, document: Path = DOCUMENT) -> None:
    """Put what was printed between the marks of this benchmark in the document. Raises ValueError without marks."""
    first, last = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->"
    text = document.read_text()
    before, found, rest = text.partition(first)
    _, also_found, after = rest.partition(last)
    if not (found and also_found):
        raise ValueError(f"{document} has no marks {first.strip()} … {last}")
    document.write_text(f"{before}{first}{markdown}{last}{after}")


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
