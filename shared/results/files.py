"""Results as files in a folder, which every gateway and worker must see. A file's time of change is when it ends."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ResultsUnavailable

MAX_ITEM_BYTES = 64 * 2**20
DRAFT = ".draft"  # the end of a name that is being written
DRAFT_S = 3600  # a draft this old was left by a process that died


class FileResults:
    """A `port.Backend`. A file appears whole, by a rename; only its owner may read it."""

    max_item_bytes = MAX_ITEM_BYTES

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        path = self._path(name)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}{DRAFT}")
        ends = time.time() + ttl_s
        with self._errors():
            try:
                self._write(draft, value)
                os.utime(draft, (ends, ends))
                draft.replace(path)
            except BaseException:  # raised again: no draft is left behind
                draft.unlink(missing_ok=True)
                raise

    def get(self, name: str) -> bytes | None:
        with self._errors():
            try:
                with self._path(name).open("rb") as file:
                    return file.read() if os.fstat(file.fileno()).st_mtime > time.time() else None
            except FileNotFoundError:
                return None

    def delete(self, names: Sequence[str]) -> None:
        with self._errors():
            paths = [self._path(name) for name in names]
            for path in paths:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in paths}:
                _remove_if_empty(folder)

    def sweep(self) -> None:
        with self._errors():
            now = time.time()
            for folder in [path for path in self._folder.glob("*/*") if path.is_dir()]:
                for path in folder.glob("*"):
                    ends = path.stat().st_mtime + (DRAFT_S if path.name.endswith(DRAFT) else 0)
                    if ends <= now:
                        path.unlink(missing_ok=True)
                _remove_if_empty(folder)

    def check(self) -> str:
        with self._errors():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self._folder / f"{secrets.token_hex(4)}{DRAFT}"
            probe.touch()
            probe.unlink()
        return f"files in {self._folder}, which is writable"

    def close(self) -> None:
        """Nothing is open."""

    def _path(self, name: str) -> Path:
        """<folder>/<first two characters of the key>/<key>/<the rest>: no folder grows without end."""
        key, _, item = name.partition("/")
        return self._folder / key[:2] / key / item.replace("/", ".")

    def _write(self, path: Path, value: bytes) -> None:
        for attempt in (1, 2):  # a sweep may remove the empty folder before the file is in it
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(value)
            except FileNotFoundError:
                if attempt == 2:
                    raise
            else:
                return

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResultsUnavailable(
                f"The results folder {self._folder} does not do its work: {error.strerror or error}. Check its rights "
                "and free space, or set VITRINE_RESULTS_URL."
            ) from error


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody wrote into it, or removed it first
        return
