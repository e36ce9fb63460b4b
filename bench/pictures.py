"""Pictures a minute and CPU a picture: our renderer against a cold browser for each picture, by shot-scraper."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sqlalchemy import select

from bench import meter, peers
from bench.renders import Asker, asking
from bench.report import Conditions, Report, Row, table
from bench.stage import USER, Stage, stage
from shared.catalog.native import COOKIE
from shared.identity import Audience
from shared.metadata.models import RenderRecord
from shared.requests import Plan
from shared.targets import TargetKind, ViewState

IN_FLIGHT = 2  # at a time, on both sides
READY = (
    "document.documentElement.dataset.vitrine === 'laid-out'"
    " && !document.querySelector('.chart-holder[data-state=pending]')"
)
STEPS = ("leased", "signed_in", "navigated", "ready", "captured", "stored")


@dataclass(frozen=True, slots=True)
class Sample:
    wall_s: float
    cpu_s: float  # of the renderer or of shot-scraper, browser included
    all_cpu_s: float  # and of gateway, RabbitMQ and Memcached meanwhile


def run(*, quick: bool) -> Report:
    rounds, size = (1, 2) if quick else (8, 10)
    before = Conditions(f"{rounds} interleaved rounds of {size} pictures")
    return asyncio.run(_run(rounds, size, before))


async def _run(rounds: int, size: int, before: Conditions) -> Report:
    with stage(render_threads=IN_FLIGHT) as here:
        here.start("api")
        here.start("renderer")
        async with asking(here) as asker:
            await asker.render([plan for _, plan in asker.plans][: 2 * size])  # warms up
            ours: list[Sample] = []
            cold: list[Sample] = []
            for number, plans in enumerate(_mixed(asker, rounds, size)):
                sides = [(ours, _ours), (cold, _cold)]
                for samples, side in sides if number % 2 else reversed(sides):
                    samples.append(await side(here, asker, plans))
        steps = _steps(here)
    report = Report("pictures", "Rendering", peers.version(peers.shot_scraper()[0], "--version"))
    report.peer = report.peer.replace(", version", "")
    measures: list[tuple[str, Callable[[Sample], float], str, int]] = [
        ("pictures a minute", lambda s: 60 * size / s.wall_s, "≥ 6", 0),
        ("CPU s a picture, renderer and browser", lambda s: s.cpu_s / size, "", 2),
        ("CPU s a picture, servers too", lambda s: s.all_cpu_s / size, "", 2),
    ]
    for words, figure, aim, digits in measures:
        report.rows.append(Row(words, [figure(s) for s in ours], [figure(s) for s in cold], aim, digits))
    report.tables.append(steps)
    report.notes.append(
        f"{before}; each round other targets of the demo catalog, dashboards among them. {IN_FLIGHT} at a time on both "
        "sides, the same Chromium, window sizes and sign-in. Ours: the real worker over RabbitMQ and Memcached, warm, "
        "with proof of readiness, thumbnail and checks. The peer: one `shot-scraper` process with a browser of its own "
        "for each picture, waiting for the page's own word that every chart is drawn."
    )
    return report


def _mixed(asker: Asker, rounds: int, size: int) -> list[list[Plan]]:
    """The rounds' targets: every dashboard and as many charts as fit, mixed the same way every time."""
    plans = [plan for _, plan in asker.plans]
    random.Random(1).shuffle(plans)
    plans.sort(key=lambda plan: plan.target.kind is TargetKind.CHART)  # stable: dashboards first
    chosen = plans[: rounds * size]
    return [chosen[number::rounds] for number in range(rounds)]


async def _ours(here: Stage, asker: Asker, plans: Sequence[Plan]) -> Sample:
    renderer, servers = [here.processes["renderer"].pid], _servers(here)
    mine, others = meter.family_cpu_s(renderer), meter.family_cpu_s(servers)
    wall_s = await asker.render(plans)
    mine, others = meter.family_cpu_s(renderer) - mine, meter.family_cpu_s(servers) - others
    return Sample(wall_s, mine, mine + others)


async def _cold(here: Stage, asker: Asker, plans: Sequence[Plan]) -> Sample:
    program, environment = peers.shot_scraper()
    sign_in = {"name": COOKIE, "value": here.token(Audience.PAGE), "domain": "127.0.0.1", "path": "/", "expires": -1}
    auth = here.folder / "auth.json"
    sign_in |= {"httpOnly": True, "secure": False, "sameSite": "Lax"}
    auth.write_text(json.dumps({"cookies": [sign_in], "origins": []}))
    native, files, commands = here.parts.catalogs["native"], [], []
    for plan in plans:
        url = native.page(plan.target, USER, ViewState(), nonce="cold").url
        files.append(here.folder / f"{plan.target.kind}-{plan.target.id}.png")
        size = ["-w", str(plan.window.width), "-h", str(plan.window.height)]
        # The page's strict policy forbids the eval by which Playwright evaluates what it waits for.
        options = ["--bypass-csp", "--auth", str(auth), "--wait-for", READY, "--fail", "--silent", "-o", str(files[-1])]
        commands.append([str(program), "shot", url, *size, *options])
    others = meter.family_cpu_s(_servers(here))
    plan_of_run = {"commands": commands, "parallel": IN_FLIGHT, "environment": environment}
    done = await asyncio.to_thread(meter.run, plan_of_run)
    others = meter.family_cpu_s(_servers(here)) - others
    for plan, file in zip(plans, files, strict=True):
        _check(plan, file)
    return Sample(done["wall_s"], done["cpu_s"], done["cpu_s"] + others)


def _servers(here: Stage) -> list[int]:
    managed = [*here.rabbitmq.processes, *here.memcached.processes, here.processes["api"]]
    return [process.pid for process in managed]


def _check(plan: Plan, file: Path) -> None:
    """Raises AssertionError when the peer's picture is none."""
    with Image.open(file) as picture:
        assert picture.size == (plan.window.width, plan.window.height), picture.size
        assert len(picture.convert("RGB").getcolors(2**24) or ()) > 1, f"{file} is blank"
    file.unlink()


def _steps(here: Stage) -> str:
    """Our own steps, from the render records: medians in milliseconds."""
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with here.parts.sessions() as session:
        for record in session.scalars(select(RenderRecord)):
            for step in record.timeline:
                seconds[record.target_kind][str(step["step"])].append(float(step["seconds"]))
    rows = [
        [f"{kind} ({len(steps['ready'])})", *(f"{statistics.median(steps[step]) * 1000:.0f}" for step in STEPS)]
        for kind, steps in sorted(seconds.items())
    ]
    return table(["our steps, median ms", *(step.replace("_", " ") for step in STEPS)], rows)
