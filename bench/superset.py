"""Dashboards of a real Superset: our renderer against Superset's own worker, with its defaults and without waits."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import httpx

from bench import meter, peers
from bench.report import Conditions, Report, Row
from tests.harness import ManagedProcess, Memcached, RabbitMQ, Superset, wait_until
from tests.harness.stack import Stack
from tests.harness.superset import ADMIN, PASSWORD, READER, SECRET_KEY

ROOT = Path(__file__).parents[1]
IN_FLIGHT = 2  # at a time, on every side
GIVE_UP_S = 900
POLL_S = 0.2  # theirs waits for a message instead; no front end asks more often
WARM_UPS = 8  # each of our pages has shown each dashboard some four times, as in a worker that has run for a while


@dataclass(frozen=True, slots=True)
class Sample:
    wall_s: float
    cpu_s: float  # of the worker and its browsers
    pictures: Mapping[int, bytes | None]  # by the dashboard's id; None: it was not made

    @property
    def failed(self) -> int:
        return sum(picture is None for picture in self.pictures.values())


class Side(Protocol):
    """Draws dashboards, by their ids; each picture is a thumbnail of 800×600 pixels."""

    def render(self, ids: Sequence[int]) -> Sample: ...


@dataclass(frozen=True, slots=True)
class Sides:
    """`ours` draws charts too."""

    superset: Superset
    dashboards: list[int]
    charts: list[int]
    ours: Ours
    all: dict[str, Side]


def run(*, quick: bool) -> Report:
    rounds, size = (1, 2) if quick else (5, 9)
    before = Conditions(f"{rounds} interleaved rounds of {size} dashboards")
    with open_sides() as opened:
        ids, sides = opened.dashboards, opened.all
        for name, side in sides.items():  # theirs begins each picture with a cold browser
            if name == "vitrine" and not quick:
                for _ in range(WARM_UPS):
                    side.render(ids)  # warms Superset's own cache of data too, for all
            else:
                side.render(ids[:2])
        samples: dict[str, list[Sample]] = {name: [] for name in sides}
        pick = random.Random(1)
        for _ in range(rounds):
            chosen, order = pick.sample(ids, size), pick.sample(list(sides), len(sides))
            for name in order:
                samples[name].append(sides[name].render(chosen))
        return _report(samples, size, before)  # while all processes are there: what they used is not others'


def _report(samples: dict[str, list[Sample]], size: int, before: Conditions) -> Report:
    ours, defaults, eager = (samples[name] for name in ("vitrine", "defaults", "no waits"))
    report = Report("superset", "Superset's dashboards", "Superset 6.1.0")
    for words, peer, aims in (("its defaults", defaults, ("≥ 5", "≤ 0.5")), ("its waits 0", eager, ("≥ 3.5", "≤ 0.5"))):
        rate, cpu = ([f(s) for s in ours] for f in (lambda s: 60 * size / s.wall_s, lambda s: s.cpu_s / size))
        theirs = [60 * size / s.wall_s for s in peer], [s.cpu_s / size for s in peer]
        report.rows.append(Row(f"dashboards a minute, against {words}", rate, theirs[0], aims[0], 1))
        report.rows.append(Row(f"CPU s a picture, worker and browser, against {words}", cpu, theirs[1], aims[1], 2))
    missing = {name: sum(sample.failed for sample in taken) for name, taken in samples.items()}
    report.notes.append(
        f"{before}. {IN_FLIGHT} at a time on every side, the same Chromium and Superset, forced renders of the bundled "
        f"dashboards as `admin`. Ours had drawn each {WARM_UPS} times before, as one that runs on. Our browser draws "
        "WebGL by Mesa's driver, which is installed. "
        f"Pictures that were not made: {json.dumps(missing)}."
    )
    return report


@contextmanager
def open_sides() -> Iterator[Sides]:
    """A Superset with its examples, and three that draw it: ours, its own worker, its own without fixed waits."""
    with ExitStack() as stack:
        broker = stack.enter_context(RabbitMQ())
        superset = stack.enter_context(Superset())
        superset.add_people()
        with closing(superset.person(ADMIN)) as admin:
            dashboards, charts = (_ids(admin, kind) for kind in ("dashboard", "chart"))
            token = admin.headers["Authorization"]
        memcached = stack.enter_context(Memcached())
        ours = Stack(
            broker_url=broker.create_vhost().url,
            store_url=memcached.url,
            superset_url=superset.url,
            superset_username=READER,
            superset_passwords=json.dumps({READER: PASSWORD}),
            superset_secret_key=SECRET_KEY,
            default_catalog="superset",
            thumbnail_executors=f"FIXED:{ADMIN}",
            render_threads=IN_FLIGHT,
            access_cache_s=5,  # the default; tests have 0
        )
        stack.enter_context(ours).start("gateway", "renderer")
        vitrine = Ours(ours, token)
        sides: dict[str, Side] = {"vitrine": vitrine}
        for name, waits in (("defaults", "1"), ("no waits", "0")):
            vhost = broker.create_vhost()
            sides[name] = stack.enter_context(_theirs(superset, vhost.url, waits))
        yield Sides(superset, dashboards, charts, vitrine, sides)


def _ids(client: httpx.Client, kind: str) -> list[int]:
    found: list[int] = []
    query = "(columns:!(id),page:{},page_size:100)"  # Superset gives no more at a time
    for page in count():
        params = {"q": query.format(page)}
        found += (rows := [row["id"] for row in client.get(f"/api/v1/{kind}/", params=params).json()["result"]])
        if len(rows) < 100:
            break
    return sorted(found)


class Ours:
    """Through the gateway, as Superset's front end would ask; the deployed renderer draws."""

    def __init__(self, stack: Stack, token: str) -> None:
        self._stack = stack
        self._client = httpx.Client(base_url=stack.url, headers={"Authorization": token}, timeout=60)

    def render(self, ids: Sequence[int], kind: str = "dashboard") -> Sample:
        began = time.monotonic()
        with meter.Watch(self._stack.renderer.pid) as watch:
            for number in ids:
                self._client.post(f"/api/v1/{kind}/{number}/thumbnail/", json={"force": True}).raise_for_status()
            ends = [
                wait_until(partial(self._end, kind, number), GIVE_UP_S, f"{kind} {number}", interval_s=POLL_S)
                for number in ids
            ]
            wall_s = time.monotonic() - began
        return Sample(wall_s, watch.cpu_s, {i: self._picture(end) for i, end in zip(ids, ends, strict=True)})

    def _end(self, kind: str, number: int) -> dict[str, Any] | None:
        told: dict[str, Any] = self._client.get(f"/api/v1/{kind}/{number}/thumbnail/").json()
        return told if told["task_status"] in ("Updated", "Error") else None

    def _picture(self, told: dict[str, Any]) -> bytes | None:
        return self._client.get(told["image_url"]).content if told["task_status"] == "Updated" else None


class Theirs:
    """Superset's worker, asked by Superset's own code."""

    def __init__(self, worker: ManagedProcess, asker: subprocess.Popen[str]) -> None:
        self._worker = worker
        self._asker = asker

    def render(self, ids: Sequence[int]) -> Sample:
        assert self._asker.stdin is not None
        with meter.Watch(self._worker.pid) as watch:
            self._asker.stdin.write(json.dumps(list(ids)) + "\n")
            self._asker.stdin.flush()
            told = self.told()
        pictures = {i: base64.b64decode(text) or None for i, text in zip(ids, told["pictures"], strict=True)}
        return Sample(told["wall_s"], watch.cpu_s, pictures)

    def told(self) -> Any:
        assert self._asker.stdout is not None
        for line in self._asker.stdout:
            if line.startswith("{"):
                return json.loads(line)
            if line.startswith("ready"):
                return {}
        raise RuntimeError("Superset's side ended")


@contextmanager
def _theirs(superset: Superset, broker_url: str, waits: str) -> Iterator[Theirs]:
    environment = {**superset.environment, **_browser(superset.program / "python")}
    environment |= {"SUPERSET_CELERY_BROKER": broker_url, "SUPERSET_URL": superset.url, "SUPERSET_WAITS": waits}
    environment["PATH"] = superset.environment["PATH"]
    program = str(superset.program / "celery")
    command = [program, "--app=superset.tasks.celery_app:app", "worker", "--pool=prefork", "-Ofair"]
    worker = ManagedProcess(
        [*command, "-c", str(IN_FLIGHT)], folder=superset.folder, name=f"celery-{waits}", env=environment
    )
    asking = [str(superset.program / "python"), "-P", str(ROOT / "bench/superset_ask.py")]
    with worker:
        asker = subprocess.Popen(
            asking, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            side = Theirs(worker, asker)
            side.told()
            yield side
        finally:
            asker.kill()
            asker.communicate()


@cache
def _browser(python: Path) -> dict[str, str]:
    return peers.with_our_chromium(python)
