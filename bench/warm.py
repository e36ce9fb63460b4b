"""What warm-up is worth: first openings cold and warm in a real browser, and how well strategies foresee a view log.

And what it costs others: an interactive query and an interactive render, alone and under a flood of warm-up.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from bench.replay import START, VIEWS, WEEKS, Log, hit_rate, make_log, perfect
from bench.report import Conditions, Report, Row, table
from bench.slow import DELAY_S
from bench.stage import Stage, stage
from shared.identity import Audience
from shared.targets import TargetKind
from tests.harness.chromium import find_chromium

READY = """() => document.documentElement.dataset.vitrine === 'laid-out'
  && [...document.querySelectorAll('.chart-holder')]
    .every(one => ['drawn', 'empty', 'failed'].includes(one.dataset.state))
"""
STRATEGIES: dict[str, Callable[[Log, int], dict[str, Any]]] = {
    "dummy": lambda *_: {},
    "dashboard_tags": lambda *_: {"tags": ["daily"]},
    "recently_changed": lambda *_: {"since": "7d"},
    "stale": lambda *_: {"within": "1h"},
    "ids": lambda log, budget: {"dashboards": log.favourites(budget)},
    "top_n_dashboards": lambda _, budget: {"top_n": budget, "since": "7 days ago"},
    "usual_visitors": lambda _, budget: {"top_n": budget, "history": "8w"},
    "native_filter_options": lambda log, budget: {"dashboard_ids": log.favourites(budget)},
}
OF = {
    "stale": "of what somebody opened within a day",
    "ids": "a list of the favourites of eight weeks ago",
    "native_filter_options": "of what filters offer; it warms no rows, so 0% of openings",
}
BUDGETS = (100, 300)  # entries warmed before each hour
STRETCH_S = 8.0  # of measuring alone, under a flood, alone again
FLOOD_RUNS = 4  # runs of the flood that are kept going
Seconds = tuple[list[float], list[float]]  # of queries, of renders
DRAWS = 2000  # of the rounds, for the spread of a p95


def run(*, quick: bool) -> Report:
    report = Report("warm", "Warm dashboards", "cold")
    conditions = Conditions("1 round" if quick else "3 interleaved rounds")
    _foreseen(report, quick=quick)
    with stage(warm_concurrency=4, access_cache_s=5) as here:
        for origin, application in ((OWN, ""), (SLOW, "bench.slow:app")):
            here.start("api", application=application)
            _openings(report, here, origin, rounds=1 if quick else 3, most=2 if quick else 100)
            here.stop("api")
        here.start("api")
        here.start("renderer")
        _flood(report, here, rounds=1 if quick else 12)
    report.notes.append(f"{conditions}.")
    return report


# --- how well strategies foresee ---


def _foreseen(report: Report, *, quick: bool) -> None:
    log = make_log(5_000 if quick else VIEWS)
    last = START + timedelta(weeks=WEEKS - 1)
    hours = [
        last + timedelta(hours=hour) for hour in range(0, 168, 84 if quick else 7)
    ]  # every hour of the day, all days
    rows = []
    for name, parameters in STRATEGIES.items():
        rates = [hit_rate(log, name, parameters(log, budget), hours, budget) for budget in BUDGETS]
        told = f"`{name}`, {OF[name]}" if name in OF else f"`{name}`"
        rows.append([told, *(f"{rate:.1%}" for rate in rates)])
    rows.append(["(knowing the future)", *(f"{perfect(log, hours, budget):.1%}" for budget in BUDGETS)])
    header = ["hit rate", *(f"{budget} entries an hour" for budget in BUDGETS)]
    report.tables.append("### Foreseeing\n\n" + table(header, rows))
    report.notes.append(_told(log, len(hours)))


def _told(log: Log, hours: int) -> str:
    people, groups = len(log.group_of), len(set(log.group_of.values()))
    return (
        f"Foreseeing: {len(log.views):,} made-up views of {people} people in {groups} groups on {len(log.dashboards)} "
        f"dashboards in {WEEKS} weeks, with a daily and a weekly rhythm; strategies are asked before each of {hours} "
        "hours of the last week, and see only what came before. A hit is an opening whose dashboard, filters and group "
        "were warmed for that hour; what was warm already by chance does not count."
    )


# --- first openings ---


OWN = "the demo's own databases"
SLOW = f"the same, each query held up for {DELAY_S:.0f} s"


def _openings(report: Report, here: Stage, origin: str, *, rounds: int, most: int) -> None:
    boards = [info for info in here.targets() if info.target.kind is TargetKind.DASHBOARD][:most]
    cold: list[float] = []
    warm: list[float] = []
    asked: dict[str, list[float]] = {"cold": [], "warm": []}
    lines = []
    with sync_playwright() as playwright, _browser(playwright) as browser:
        _open(browser, here, boards[0].target.id)  # scripts and fonts are in the browser's cache from here on
        figures: dict[str, list[tuple[float, float]]] = {info.title: [] for info in boards}
        for _ in range(rounds):
            here.memcached.flush()
            before = _queries(here)
            times = {info.title: _open(browser, here, info.target.id) for info in boards}
            asked["cold"].append(_queries(here) - before)
            here.memcached.flush()
            here.cli("warmup", "run", "dummy")
            before = _queries(here)
            for info in boards:
                figures[info.title].append((times[info.title], _open(browser, here, info.target.id)))
            asked["warm"].append(_queries(here) - before)
    for title, pairs in figures.items():
        first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
        cold.append(first)
        warm.append(second)
        lines.append([title, f"{first * 1000:,.0f}", f"{second * 1000:,.0f}", f"{second / first:.2f}"])
    label = f"first opening of a dashboard of the demo, ms: {origin}"
    report.rows.append(Row(label, [t * 1000 for t in warm], [t * 1000 for t in cold]))
    header = ["median of the rounds, ms", "cold", "warm", "ratio"]
    report.tables.append(f"### First opening: {origin}\n\n{table(header, lines)}")
    counts = {word: statistics.median(numbers) for word, numbers in asked.items()}
    report.notes.append(
        f"First opening, {origin}: until every chart is drawn, in Chromium, for an admin; scripts and fonts are in its "
        f"cache. Queries sent to the databases for all of them: {counts['cold']:.0f} cold, {counts['warm']:.0f} warm."
    )


@contextmanager
def _browser(playwright: Any) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=str(find_chromium()), args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()


def _open(browser: Browser, here: Stage, number: str) -> float:
    """Seconds until every chart of a dashboard is drawn."""
    if not browser.contexts:
        context = browser.new_context(viewport={"width": 1600, "height": 4000})
        cookie = {"name": "vitrine_session", "value": here.token(Audience.API), "url": here.settings.base_url}
        context.add_cookies([cookie])  # type: ignore[list-item]
    page = browser.contexts[0].new_page()
    try:
        began = time.monotonic()
        page.goto(f"{here.settings.base_url}/dashboard/{number}/")
        page.wait_for_function(READY, timeout=60_000)
        return time.monotonic() - began
    finally:
        page.close()


def _queries(here: Stage) -> float:
    """Queries that the gateway sent to the databases of charts so far."""
    text = httpx.get(f"{here.settings.base_url}/metrics", timeout=30).text
    lines = [line for line in text.splitlines() if line.startswith("vitrine_origin_queries_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


# --- what it costs others ---


def _flood(report: Report, here: Stage, *, rounds: int) -> None:
    """Rounds of three stretches: alone, under a flood, alone again. The second alone says what is noise."""
    headers = {"Authorization": f"Bearer {here.token(Audience.API)}"}
    charts = [info.target.id for info in here.targets() if info.target.kind is TargetKind.CHART][:20]
    stretches: dict[str, list[Seconds]] = {"alone": [], "flood": [], "again": []}
    with httpx.Client(base_url=here.settings.base_url, headers=headers, timeout=60) as client:
        _measure(client, charts, flood=False)  # the first of each is slower whatever else is going on
        for _ in range(rounds):
            for name, measured in stretches.items():
                measured.append(_measure(client, charts, flood=name == "flood"))
                _until_done(client)
    lines = []
    for which, what in enumerate(("query", "render")):
        of = {name: [stretch[which] for stretch in measured] for name, measured in stretches.items()}
        cells = [f"{_p95(pooled(of[name])) * 1000:,.0f}" for name in of]
        lines.append([what, *cells, _spread(of["flood"], of["alone"]), _spread(of["again"], of["alone"])])
        lines[-1].append(f"{sum(map(len, of['flood'])):,}")
    header = [
        "p95, ms",
        "alone",
        "under a flood",
        "alone again",
        "flood / alone",
        "noise: again / alone",
        "samples each",
    ]
    report.tables.append("### What warm-up costs others\n\n" + table(header, lines))
    report.notes.append(
        f"What warm-up costs others: {rounds} interleaved rounds of {STRETCH_S:.0f} s alone, {STRETCH_S:.0f} s while "
        f"{FLOOD_RUNS} forced runs of `dummy`, data and pictures, are kept going, {STRETCH_S:.0f} s alone. An "
        "interactive query is a forced reading of a chart's rows, a render a forced thumbnail until its picture is "
        "there. Each p95 is over all samples; after each ratio, in brackets, where 90% of them lie when whole rounds "
        "are drawn anew."
    )


def pooled(stretches: Iterable[list[float]]) -> list[float]:
    return [seconds for stretch in stretches for seconds in stretch]


def _spread(ours: list[list[float]], peers: list[list[float]]) -> str:
    """The ratio of two p95, and where 90% of such ratios lie when whole rounds are drawn with replacement."""
    chance, ratios = random.Random(4), []
    for _ in range(DRAWS):
        drawn = [chance.randrange(len(ours)) for _ in ours]
        ratios.append(_p95(pooled(ours[n] for n in drawn)) / _p95(pooled(peers[n] for n in drawn)))
    ratios.sort()
    low, high = ratios[int(DRAWS * 0.05)], ratios[int(DRAWS * 0.95)]
    return f"**{_p95(pooled(ours)) / _p95(pooled(peers)):.2f}** ({low:.2f} … {high:.2f})"


def _measure(client: httpx.Client, charts: list[str], *, flood: bool) -> Seconds:
    """Seconds of forced queries, and of forced renders from the request to the picture, for a while."""
    queries: list[float] = []
    renders: list[float] = []
    until = time.monotonic() + STRETCH_S
    while time.monotonic() < until:
        if flood and len(queries) % 10 == 0:
            _keep_flooding(client)
        chart = charts[len(queries) % len(charts)]
        began = time.monotonic()
        client.get(f"/api/v1/chart/{chart}/data/", params={"force": "true"}).raise_for_status()
        queries.append(time.monotonic() - began)
        if len(queries) % 5 == 0:
            renders.append(_render(client, charts[len(renders) % len(charts)]))
    return queries, renders


def _keep_flooding(client: httpx.Client) -> None:
    for _ in range(FLOOD_RUNS - _going(client)):
        asked = {"strategy": "dummy", "warms": ["data", "pictures"], "force": True, "budget_s": int(STRETCH_S) * 2}
        client.post("/api/v1/warmup/runs", json=asked).raise_for_status()


def _going(client: httpx.Client) -> int:
    runs = client.get("/api/v1/warmup/runs").json()["result"]
    return sum(run["finished_at"] is None for run in runs)


def _render(client: httpx.Client, chart: str) -> float:
    began, place = time.monotonic(), f"/api/v1/chart/{chart}/thumbnail/"
    client.post(place, json={"force": True}).raise_for_status()
    while client.get(place).json()["task_status"] not in ("Updated", "Error"):
        time.sleep(0.02)
    return time.monotonic() - began


def _until_done(client: httpx.Client) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if not _going(client):
            return
        time.sleep(0.2)
    raise RuntimeError("the flood of warm-up did not end")


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)] if len(seconds) > 1 else seconds[0]
