"""Cached thumbnails: requests a second and the 99th percentile of the gateway against nginx's memcached_pass."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from pymemcache.client.base import Client

from bench import peers
from bench.report import Conditions, Report, Row
from bench.stage import Stage, stage
from bench.wrk import Sample, measure
from services.api.documents import thumbnail_url
from shared.identity import Audience
from shared.requests import Requests
from shared.targets import TargetKind
from tests.harness import ManagedProcess, free_port
from tests.harness.server import find_program

WORDS = (
    ("hit", "200, 30 KB", "≥ 0.90"),
    ("304", "304 (nginx: the 200)", ""),
    ("first", "200, no two requests the same", ""),
)
WORKERS, CONNECTIONS, BODY_BYTES = 2, 32, 30_000
NEVER_THE_SAME = """
local threads = 0
function setup(thread) thread:set("name", os.time() .. "-" .. threads); threads = threads + 1 end
local count = 0
function request() count = count + 1; wrk.headers["X-Number"] = name .. "-" .. count; return wrk.format() end
"""
RAW_KEY = "/picture"  # nginx's key is the request's path
NGINX = """
worker_processes {workers}; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000; {temporary}
    upstream store {{ server {memcached}; keepalive 32; }}
    server {{ listen 127.0.0.1:{port}; location / {{
        set $memcached_key "$uri"; memcached_pass store; default_type image/png;
    }} }}
}}
"""


def run(*, quick: bool) -> Report:
    rounds, seconds = (1, 1) if quick else (7, 4)
    nginx = find_program("nginx", package="nginx-light")
    before = Conditions(f"{rounds} interleaved rounds of {seconds} s")
    with stage(workers=WORKERS) as here:
        url, headers = _store(here)
        process, nginx_url = _nginx(nginx, here)
        gateway = here.start("api")
        etag = _check(url, headers)
        script = here.folder / "never-the-same.lua"
        script.write_text(NEVER_THE_SAME)
        tries = {
            "nginx": (process, nginx_url, {}, None),
            "hit": (gateway, url, headers, None),
            "304": (gateway, url, headers | {"If-None-Match": etag}, None),
            "first": (gateway, url, headers, script),  # Falcon's own way for each
        }
        samples: dict[str, list[Sample]] = {name: [] for name in tries}
        for number in range(-1, rounds):  # the first one warms up
            for name in tries if number % 2 else reversed(tries):
                server, at, sent, varied = tries[name]
                sample = measure(server, at, sent, connections=CONNECTIONS, seconds=seconds, script=varied)
                if number >= 0:
                    samples[name].append(sample)
        process.stop()
    return _report(samples, peers.version(nginx, "-v"), before)


def _report(samples: dict[str, list[Sample]], version: str, before: Conditions) -> Report:
    peer = samples["nginx"]
    report = Report("thumbnails", "Cached thumbnails", version.removeprefix("nginx version: ") + " memcached_pass")
    for name, words, aim in WORDS:
        ours = samples[name]
        report.rows += [
            Row(f"requests/s, {words}", [s.per_second for s in ours], [s.per_second for s in peer], aim),
            Row(f"p99 ms, {words}", [s.p99_ms for s in ours], [s.p99_ms for s in peer], digits=1),
            Row(f"CPU µs a request, {words}", [s.cpu_us for s in ours], [s.cpu_us for s in peer]),
        ]
    report.notes.append(
        f"{before}. wrk with {CONNECTIONS} connections, on the same cores as the servers; {WORKERS} workers each; one "
        "picture, the same bytes in the same Memcached, which nginx fetches for each answer, over kept connections. "
        "The gateway asks Memcached for the picture's head each time and sends the body from memory while the head "
        "stands; it also checks the token, who may see the target, and whether the picture is whole and fresh, anew "
        "for the requests of which no two are the same, from memory for those that are. nginx does none of that, and "
        f"answers no conditional request here. The gateway's event loop: {_has('uvloop')}; HTTP parser in C: "
        f"{_has('gunicorn_h1c')}."
    )
    return report


def _has(module: str) -> str:
    return module if importlib.util.find_spec(module) else "none"


def _store(here: Stage) -> tuple[str, dict[str, str]]:
    """Puts a picture for the gateway and the same bytes for nginx; the gateway's URL and the headers to ask with."""
    body = os.urandom(BODY_BYTES)
    requests = Requests(here.settings, here.parts.catalogs, here.parts.pictures, _Silent())
    plan = next(plan for info, plan in here.plans(requests) if info.target.kind is TargetKind.CHART)

    async def put() -> None:
        await here.parts.pictures.put(
            plan.key,
            body,
            content_type="image/png",
            generation=1,
            digest=plan.digest,
            rendered_at=datetime.now(UTC),
        )
        await here.parts.pictures.close()

    asyncio.run(put())
    client = Client(here.memcached.address)
    client.set(RAW_KEY, body, noreply=False)
    client.close()
    url = here.settings.base_url + thumbnail_url(plan, here.settings.default_catalog)
    return url, {"Authorization": f"Bearer {here.token(Audience.API)}"}


class _Silent:
    async def publish(self, request: object) -> None:
        raise AssertionError("a hit publishes nothing")

    def close(self) -> None:
        pass


def _nginx(program: Path, here: Stage) -> tuple[ManagedProcess, str]:
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {here.folder}/{kind};" for kind in kinds)
    file = here.folder / "nginx.conf"
    text = NGINX.format(
        workers=WORKERS, folder=here.folder, memcached=here.memcached.address, port=port, temporary=temporary
    )
    file.write_text(text)
    process = ManagedProcess([program, "-c", file, "-p", here.folder], folder=here.folder, name="nginx").start()
    process.wait_for_port(port)
    here.processes["nginx"] = process
    return process, f"http://127.0.0.1:{port}{RAW_KEY}"


def _check(url: str, headers: dict[str, str]) -> str:
    """The answer's ETag. Raises AssertionError when the answer is no fresh hit."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        assert (answer.status, answer.headers["X-Cache"], len(answer.read())) == (200, "HIT", BODY_BYTES)
        return str(answer.headers["ETag"])
