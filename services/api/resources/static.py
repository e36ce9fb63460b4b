"""GET /static/…: the pages' files. Below the version's folder they never change; elsewhere they are asked for again."""

from __future__ import annotations

from falcon.asgi import Request, Response

from services.api.services import Services
from shared.errors import NotFound

FOR_EVER = "public, max-age=31536000, immutable"
VENDORED = "vendor/"  # their version is in their name


class Static:
    quiet = True

    def __init__(self, services: Services) -> None:
        self._files = services.pages.static
        self._blocking = services.blocking

    async def on_get(self, req: Request, resp: Response, path: str) -> None:
        version, _, rest = path.partition("/")
        versioned = version == self._files.version
        name = rest if versioned else path
        file = self._files.get(name)
        if file is None:
            raise NotFound("There is no such file.")
        resp.etag = file.etag
        resp.set_header("Cache-Control", FOR_EVER if versioned or name.startswith(VENDORED) else "no-cache")
        resp.set_header("Vary", "Accept-Encoding")
        wanted = req.if_none_match if req.get_header("If-None-Match") else None
        if wanted and ("*" in wanted or file.etag in wanted):
            resp.status = 304
            return
        resp.content_type = file.content_type
        if file.packable and "gzip" in (req.get_header("Accept-Encoding") or ""):
            resp.set_header("Content-Encoding", "gzip")
            resp.data = file.gzipped or await self._blocking(file.pack)
        else:
            resp.data = file.body
