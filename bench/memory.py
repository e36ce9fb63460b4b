"""Memory of a renderer over many renders, with its browser recycled on the way: does it end where it began?"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics

import psutil

from bench.renders import asking
from bench.report import Conditions, Report, table
from bench.stage import stage

RECYCLE_AFTER = 120  # renders: no multiple of BATCH, so that the looks fall on browsers of every age
MIB = 2**20
TOLERANCE = 0.05


def run(*, quick: bool) -> Report:
    renders, batch = (16, 4) if quick else (500, 50)
    before = Conditions(f"{renders} renders")
    samples = asyncio.run(_measure(renders, batch))
    third = len(samples) // 3
    middle, last = (statistics.median(pss for _, pss, _ in part) for part in (samples[third:-third], samples[-third:]))
    grows = last / middle - 1
    verdict = "it grows" if grows > TOLERANCE else "a plateau"
    report = Report("memory", f"Memory over {renders} renders", "")
    header = ["after … renders", *(f"{done}" for done, _, _ in samples)]
    report.tables.append(
        table(
            header,
            [
                ["PSS, MiB", *(f"{pss:.0f}" for _, pss, _ in samples)],
                ["processes", *(f"{processes}" for _, _, processes in samples)],
            ],
        )
    )
    report.notes += [
        f"The median of the last third is {grows:+.1%} of the middle third's: **{verdict}**.",
        f"{before}. The whole family of `dramatiq services.renderer.worker`: its master and worker, Playwright's "
        f"driver, Chromium. Two in flight; the browser is recycled after {RECYCLE_AFTER} renders (default 500).",
    ]
    return report


async def _measure(renders: int, batch: int) -> list[tuple[int, float, int]]:
    """(renders so far, PSS in MiB, processes) after each batch."""
    samples = []
    with stage(browser_renders=RECYCLE_AFTER) as here:
        here.start("api")
        renderer = here.start("renderer")
        async with asking(here) as asker:
            plans = itertools.cycle([plan for _, plan in asker.plans])
            for done in range(batch, renders + 1, batch):
                await asker.render(list(itertools.islice(plans, batch)))
                samples.append((done, *_family(renderer.pid)))
    return samples


def _family(pid: int) -> tuple[float, int]:
    """PSS in MiB and number of a process and all below it."""
    root = psutil.Process(pid)
    total, processes = 0, 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
            processes += 1
    return total / MIB, processes
