"""A clock that jumps, for processes on one machine: libfaketime, told through a file. Their monotonic clock goes on."""

from __future__ import annotations

from pathlib import Path

from tests.harness.server import find_program


class Clock:
    """Give `environment` to the processes; `jump` moves their wall clock."""

    def __init__(self, folder: Path) -> None:
        library = find_program("/usr/lib/*/faketime/libfaketimeMT.so.1", package="libfaketime")
        self._file = folder / "clock"
        self._offset_s = 0.0
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        self._offset_s += seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._offset_s:+g}\n")
        new.replace(self._file)
