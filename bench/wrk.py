"""wrk, and what it and the server's processes say of one run."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import meter
from tests.harness import ManagedProcess


@dataclass(frozen=True, slots=True)
class Sample:
    per_second: float
    p99_ms: float
    cpu_us: float  # of the server, a request


def measure(
    process: ManagedProcess,
    url: str,
    headers: dict[str, str],
    *,
    connections: int,
    seconds: int,
    script: Path | None = None,
) -> Sample:
    """Asks `url` for `seconds`; a `script` (Lua) may vary it. Raises RuntimeError unless all answers are 2xx or 3xx."""
    line = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        line += ["-H", f"{name}: {value}"]
    if script is not None:
        line += ["-s", str(script)]
    cpu = meter.family_cpu_s([process.pid])
    out = subprocess.run([*line, url], capture_output=True, text=True, check=True).stdout
    cpu = meter.family_cpu_s([process.pid]) - cpu
    problem = re.search(r"(Non-2xx or 3xx responses|Socket errors).*", out)
    if problem:
        raise RuntimeError(f"{url}: {problem.group()}")
    count = int(_find(r"(\d+) requests in", out))
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    p99_ms = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return Sample(float(_find(r"Requests/sec:\s+([\d.]+)", out)), p99_ms, cpu / count * 1e6)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk printed no {pattern!r}:\n{json.dumps(text)}")
    return found.group(1)
