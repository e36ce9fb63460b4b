"""The pages' static files, held in memory: a path is looked up, never opened, so that none can lead elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent / "pages" / "static"
# Spelled out: what the machine's own table says of these differs from machine to machine.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
PACKED = {".woff2", ".png", ".webp"}  # compressed already
MIN_GZIP_BYTES = 1024


@dataclass(slots=True)
class StaticFile:
    """`gzipped` is filled at the first wish for it: compressing all at the start would cost half a second."""

    body: bytes
    content_type: str
    etag: str
    packable: bool
    gzipped: bytes | None = None

    def pack(self) -> bytes:
        if self.gzipped is None:
            self.gzipped = gzip.compress(self.body, 6, mtime=0)
        return self.gzipped


class StaticFiles:
    """All files below `root`, read once; `version` changes with any of them."""

    def __init__(self, root: Path = ROOT) -> None:
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
        self._files = {path.relative_to(root).as_posix(): _read(path) for path in files}
        names = "".join(f"{name} {file.etag}\n" for name, file in self._files.items())
        self.version = hashlib.sha256(names.encode()).hexdigest()[:12]

    def get(self, path: str) -> StaticFile | None:
        return self._files.get(path)


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    content_type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packable = path.suffix not in PACKED and len(body) >= MIN_GZIP_BYTES
    return StaticFile(body, content_type, hashlib.sha256(body).hexdigest()[:32], packable)
