"""The life of browsers, with real kills: crash, hang, recycle, drain, full pool, identities, orphans."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.renderer.browser import RunningBrowser
from services.renderer.chromium import find_chromium
from services.renderer.lease import Lease
from services.renderer.pool import BrowserPool
from shared.catalog.port import InApp, Page
from shared.errors import BrowserCrashed, BrowserUnavailable, EgressDenied, NotReady
from shared.settings import Settings
from tests.harness import wait_until, wait_until_async
from tests.harness.process import command_of
from tests.integration.services.renderer.conftest import RULE, Rendering
from tests.sites import Site

MakePool = Callable[..., Any]


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def current(pool: BrowserPool) -> Any:
    assert pool._browser is not None
    return pool._browser


def processes(pool: BrowserPool) -> list[psutil.Process]:
    """Driver, browser, and everything below them."""
    driver = psutil.Process(current(pool).driver_pid)
    return [driver, *driver.children(recursive=True)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if is_alive(process)]


def drivers() -> set[psutil.Process]:
    """Playwright's drivers that this process started and that live."""
    return {child for child in psutil.Process().children() if is_alive(child) and "run-driver" in command_of(child)}


def kill_renderers(pool: BrowserPool) -> None:
    for process in processes(pool):
        if "--type=renderer" in command_of(process):
            process.kill()


async def test_the_browser_of_the_settings_is_never_replaced(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with pytest.raises(BrowserUnavailable, match=r"VITRINE_CHROMIUM names .*Install one"):
        find_chromium(make_settings(chromium=tmp_path / "none"))
    chosen = find_chromium(make_settings())
    assert (chosen.origin, "Chrom" in chosen.version) == ("setting", True)


async def test_an_installed_browser_is_found(make_settings: Callable[..., Settings]) -> None:
    assert find_chromium(make_settings(chromium=None)).origin == "installed"


async def test_a_browser_that_does_not_start_says_so_and_leaves_nothing(make_pool: MakePool, tmp_path: Path) -> None:
    fake = tmp_path / "chromium"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo Chromium 1.2.3.4 && exit\necho no display at all >&2; exit 1\n'
    )
    fake.chmod(0o755)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with pytest.raises(BrowserUnavailable, match="no display at all"):
        await make_pool(chromium=fake)
    wait_until(lambda: {p.pid for p in psutil.Process().children(recursive=True)} <= before, 5, "processes are left")


@pytest.mark.parametrize("victim", ["browser", "driver", "renderer"])
async def test_a_kill_in_mid_render_ends_it_and_the_next_one_works(
    make_pool: MakePool, site: Site, victim: str
) -> None:
    pool = await make_pool(chromium=None)
    render = Rendering(pool, site)
    doomed = asyncio.create_task(render("never-drawn", seconds=30))
    await wait_until_async(lambda: pool.stats["leases"] == 1 and "/never-drawn" in site.paths(), 10, "no render")
    old = processes(pool)
    if victim == "renderer":
        await wait_until_async(lambda: any("--type=renderer" in command_of(p) for p in processes(pool)), 5, "none")
        kill_renderers(pool)
    else:
        os.kill(current(pool).pid if victim == "browser" else current(pool).driver_pid, signal.SIGKILL)
    with pytest.raises(BrowserCrashed):
        await asyncio.wait_for(doomed, 3)
    assert (await render("one-chart")).ready.holders == 1
    if victim != "renderer":
        await wait_until_async(lambda: not alive(old), 5, lambda: f"left: {alive(old)}")


async def test_a_page_that_spins_ends_in_time_and_its_process_is_gone(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(render_threads=1)
    render = Rendering(pool, site)
    with pytest.raises(NotReady):
        await asyncio.wait_for(render("spin", seconds=1), 3)

    spinning = [p for p in processes(pool) if "--type=renderer" in command_of(p) and sum(p.cpu_times()[:2]) > 0.5]
    await wait_until_async(lambda: not alive(spinning), 5, "the page's process spins on")
    assert (await render("one-chart")).ready.holders == 1
    assert (pool.stats["starts"], pool.stats["crashes"]) == (1, 0)


async def test_a_cancelled_render_cleans_up_within_a_second(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(render_threads=1)
    render = Rendering(pool, site)
    doomed = asyncio.create_task(render("spin", seconds=30))
    await wait_until_async(lambda: pool.stats["leases"] == 1, 10, "no render")
    doomed.cancel()
    started = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert asyncio.get_running_loop().time() - started < 1
    assert (await render("one-chart")).ready.holders == 1


async def test_browsers_are_recycled_by_count_without_a_failed_render(make_pool: MakePool, site: Site) -> None:
    others = drivers()  # of browsers that earlier tests keep until the end of the run
    pool = await make_pool(browser_renders=4, render_threads=3)
    render = Rendering(pool, site)
    rendered = await asyncio.gather(*(render("slow-chart", executor=f"user{n % 3}") for n in range(14)))
    assert [r.ready.holders for r in rendered] == [2] * 14
    assert pool.stats["recycled"] >= 2
    await wait_until_async(lambda: len(drivers() - others) == 1, 30, "retired browsers are still there")


@pytest.mark.parametrize(("now_at", "recycled"), [(["127.0.0.9", "127.0.0.1"], 0), (["127.0.0.9"], 1), ([], 0)])
async def test_a_browser_is_recycled_when_a_host_is_not_where_it_was(
    make_pool: MakePool, site: Site, monkeypatch: pytest.MonkeyPatch, now_at: list[str], recycled: int
) -> None:
    """Its names are resolved when it starts; a gateway that is replaced has another address under the same name."""
    pool = await make_pool(browser_renders=500)
    async with pool.lease("nora", soon()):
        pass
    monkeypatch.setattr("services.renderer.pool.RESOLVE_S", 0)

    def resolve(*_: object, **__: object) -> list[Any]:
        if not now_at:
            raise OSError("a name server that is away for a moment")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in now_at]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    async with pool.lease("nora", soon()):
        assert pool.stats["recycled"] == recycled


async def test_a_browser_that_weighs_too_much_is_recycled(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(browser_memory_mib=200)
    render = Rendering(pool, site)
    pool._settings = pool._settings.model_copy(update={"browser_memory_mib": 20})
    for _ in range(13):
        await render("one-chart")
    assert pool.stats["memory_mib"] > 20
    assert not pool.stats["recycled"], "first its pages collect garbage"
    for _ in range(7):
        await render("one-chart")
    assert pool.stats["recycled"] == 1


async def test_a_browser_that_was_heavy_once_is_kept(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(browser_memory_mib=200)
    render = Rendering(pool, site)
    for limit_mib, renders in ((20, 11), (4000, 8)):
        pool._settings = pool._settings.model_copy(update={"browser_memory_mib": limit_mib})
        for _ in range(renders):
            await render("one-chart")

        async def is_weighed(heavy: bool = limit_mib == 20) -> bool:
            return (current(pool).heavy_since is not None) == heavy

        await wait_until_async(is_weighed, 10, f"its weight against {limit_mib} MiB")
    assert not pool.stats["recycled"]


async def test_renders_that_end_together_weigh_their_browser_once(
    make_pool: MakePool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await make_pool(render_threads=4)
    render = Rendering(pool, site)
    weigh, looks = RunningBrowser.memory_mib, []

    async def look(browser: RunningBrowser) -> float:
        looks.append(browser.renders)
        return await weigh(browser)

    monkeypatch.setattr(RunningBrowser, "memory_mib", look)
    for _ in range(6):
        await asyncio.gather(*(render("one-chart") for _ in range(4)))

    async def has_looked_twice() -> bool:
        return len(looks) >= 2

    await wait_until_async(has_looked_twice, 10, "two looks in 24 renders")
    assert len(looks) == 2, looks


# Held until it is garbage all at once: V8 would collect what becomes so bit by bit.
GARBAGE = """() => {
  window.held = Array.from({length: 40}, (_, i) => new Array(250_000).fill(i + 0.5));
  setTimeout(() => { window.held = null; }, 0);
}"""


async def heap_bytes(lease: Lease) -> int:
    return int((await lease.cdp.send("Runtime.getHeapUsage"))["usedSize"])


@pytest.mark.parametrize("is_lent", [False, True])
async def test_the_pages_of_a_heavy_browser_collect_their_garbage(
    make_pool: MakePool, site: Site, is_lent: bool
) -> None:
    pool = await make_pool()
    async with pool.lease("ann", soon()) as lease:
        await lease.page.goto(site.url("one-chart"))
        lease.spec = Page(site.url("one-chart"), RULE, in_app=InApp("app", open="url => 200", clear="() => null"))
        if is_lent:
            await current(pool).lighten()
            await lease.page.evaluate(GARBAGE)
            assert await heap_bytes(lease) > 60_000_000
    await is_cleared(pool)
    if not is_lent:
        await lease.page.evaluate(GARBAGE)
        assert await heap_bytes(lease) > 60_000_000
        await current(pool).lighten()
    assert await heap_bytes(lease) < 20_000_000


async def is_cleared(pool: BrowserPool) -> None:
    """Until every page that was lent is given back: who gives one back does not wait for long."""
    await wait_until_async(lambda: not current(pool).leases, 10, "the pages to be cleared")


async def test_a_page_of_a_heavy_browser_collects_once_until_it_is_weighed_again(
    make_pool: MakePool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle ones at once; one that is lent when it is given back, or after them if it is given back meanwhile."""
    pool = await make_pool(render_threads=3)
    collect, collected, may_go_on = Lease.collect_garbage, [], asyncio.Event()

    async def count(lease: Lease, timeout_s: float) -> None:
        collected.append(lease.executor)
        await may_go_on.wait()
        await collect(lease, timeout_s)

    monkeypatch.setattr(Lease, "collect_garbage", count)
    spec = Page(site.url("one-chart"), RULE, in_app=InApp("app", open="url => 200", clear="() => null"))

    async def use(executor: str, *, meanwhile: Any = None) -> None:
        async with pool.lease(executor, soon()) as lease:
            await lease.page.goto(spec.url)
            lease.spec = spec
            if meanwhile is not None:
                await meanwhile
        await is_cleared(pool)

    await use("idle")
    assert collected == [], "not while it is light"
    may_keep, is_lent = asyncio.Event(), asyncio.Event()

    async def keep() -> None:
        is_lent.set()
        await may_keep.wait()

    with ExitStack() as in_the_end:  # or a failure would wait for them
        in_the_end.callback(may_go_on.set)
        in_the_end.callback(may_keep.set)
        async with pool.lease("given back", soon()) as lease:
            lent = asyncio.create_task(use("lent", meanwhile=keep()))
            await is_lent.wait()
            lightening = asyncio.create_task(current(pool).lighten())
            await wait_until_async(lambda: collected, 10, "the idle page to collect")
            await lease.page.goto(spec.url)
            lease.spec = spec
        await wait_until_async(lambda: current(pool).leases == 1, 10, "it to be given back")
        assert collected == ["idle"], "the others wait for it"
        may_go_on.set()
        await lightening
        assert collected == ["idle", "given back"]
        may_keep.set()
        await lent
    for executor in ("idle", "given back", "lent"):
        await use(executor)
    assert collected == ["idle", "given back", "lent"]


# What waits for a media query to change holds a megabyte, and the page itself no longer holds it.
LISTENING = """([query, way]) => {
  const held = {bytes: new Array(100_000).fill(0.5)};
  matchMedia(query)[way](...(way === "addListener" ? [] : ["change"]), () => { window.heard = held.bytes.length; });
  window.reference = new WeakRef(held);
}"""


@pytest.mark.parametrize("way", ["addEventListener", "addListener"])
@pytest.mark.parametrize(
    ("query", "is_kept"),
    [
        ("(resolution: 1dppx)", False),
        ("(-webkit-min-device-pixel-ratio: 2)", False),
        ("(max-width: 600px)", True),
        ("(max-width: 600px) and (min-resolution: 1dppx)", True),
    ],
)
async def test_a_page_keeps_nobody_who_waits_for_another_pixel_ratio(
    make_pool: MakePool, site: Site, way: str, query: str, is_kept: bool
) -> None:
    """Maps wait so, each with all that it drew, and Superset's pages show one after the other."""
    pool = await make_pool()
    async with pool.lease("ann", soon()) as lease:
        await lease.page.goto(site.url("one-chart"))
        await lease.page.evaluate(LISTENING, [query, way])
        await lease.collect_garbage(10)
        assert await lease.page.evaluate("() => reference.deref() !== undefined") == is_kept
        await lease.page.set_viewport_size({"width": 500, "height": 400})
        if is_kept:
            await lease.page.wait_for_function("() => window.heard === 100_000", timeout=10_000)


@pytest.mark.parametrize(("clear", "is_same"), [("setTimeout(done, 1500)", True), ("null", False)])
async def test_whoever_comes_next_has_the_page_that_is_being_cleared_or_a_new_one(
    make_pool: MakePool, site: Site, clear: str, is_same: bool
) -> None:
    """A page that takes long to be cleared keeps its slot; one that never ends is closed, and its slot comes back."""
    pool = await make_pool(render_threads=1)
    slow = InApp("slow", open="url => 200", clear=f"() => new Promise((done) => {clear})")
    async with pool.lease("ann", soon()) as first:
        await first.page.goto(site.url("one-chart"))
        first.spec = Page(site.url("one-chart"), RULE, in_app=slow)
    async with pool.lease("ann", soon()) as second:
        assert (second.page is first.page) == is_same
        assert len(second.context.pages) == 1


async def test_a_page_that_asks_on_is_loaded_anew_for_the_next_render(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(render_threads=1)
    async with pool.lease("ann", soon()) as first:
        await first.page.goto(site.url("long-poll"))
        first.spec = Page(site.url("long-poll"), RULE, in_app=InApp("app", open="url => 200", clear="() => null"))
    async with pool.lease("ann", soon()) as second:
        assert (second.page, second.page.url, second.spec) == (first.page, "about:blank", None)


async def test_a_full_pool_waits_and_says_so(make_pool: MakePool) -> None:
    pool = await make_pool(render_threads=1)
    async with pool.lease("ann", soon()):
        with pytest.raises(BrowserUnavailable, match="No browser page became free"):
            async with pool.lease("ann", soon(0.2)):
                raise AssertionError("two leases of a pool of one")
    async with pool.lease("ann", soon()) as lease:
        assert await lease.page.evaluate("1 + 1") == 2


async def test_a_browser_for_bulk_starts_when_it_is_needed_and_stands_behind_others(
    make_pool: MakePool, site: Site
) -> None:
    pool = await make_pool(nice=10, lazily=True)
    assert pool.stats["starts"] == 0
    assert (await Rendering(pool, site)("one-chart")).ready.holders == 1
    own = psutil.Process().nice()
    _driver, *browser = processes(pool)
    assert any("--type=renderer" in command_of(process) for process in browser)
    assert {process.nice() for process in browser} == {min(own + 10, 19)}
    group = Path(f"/proc/{browser[0].pid}/autogroup")
    assert not group.exists() or group.read_text().split()[-1] == "10"


async def test_drain_waits_for_leases_and_leaves_no_process(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool()
    render = Rendering(pool, site)
    last = asyncio.create_task(render("slow-chart"))
    await wait_until_async(lambda: pool.stats["leases"] == 1, 10, "no render")
    old, profile = processes(pool), current(pool)._launcher.processes().profile
    await pool.drain()
    assert last.done() or last.cancelled() is False
    assert (await last).ready.holders == 2
    assert not alive(old)
    assert not profile.exists()
    with pytest.raises(BrowserUnavailable):
        await render("one-chart")


@pytest.mark.parametrize(("page", "ends"), [("redirect", EgressDenied), ("redirected-image", None)])
async def test_headers_do_not_follow_a_redirect_to_another_origin(
    make_pool: MakePool, site: Site, page: str, ends: type[Exception] | None
) -> None:
    with closing(Site()) as other:
        render = Rendering(await make_pool(egress_hosts=(other.host,)), site)
        headers = {"Authorization": "Bearer secret", "X-Key": "secret"}
        with pytest.raises(ends) if ends else nullcontext():
            await render(page, query={"to": other.url("one-chart")}, headers=headers)
        asked = [hit for hit in site.hits if hit.path == "/redirect"][-1]
        assert (asked.headers["Authorization"], asked.headers["X-Key"]) == ("Bearer secret", "secret")
        assert other.hits
        assert all("secret" not in hit.headers.values() for hit in other.hits)
        assert all("Authorization" not in hit.headers for hit in other.hits)


async def test_identities_share_no_cookie_no_storage_and_no_cache(make_pool: MakePool, site: Site) -> None:
    render = Rendering(await make_pool(), site)
    titles = {}
    for who in ("ann", "bob", "ann"):
        titles[who] = (await render("remembers", query={"who": who}, executor=who)).ready.title
    assert "ann" not in titles["bob"]
    assert titles["ann"].startswith("who=ann|ann|")
    assert site.paths().count("/cached") == 2


async def test_the_least_recently_used_context_makes_room(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool(browser_contexts=2)
    render = Rendering(pool, site)
    for who in ("ann", "bob", "cid"):
        await render("one-chart", executor=who)
    assert set(current(pool)._identities) == {"bob", "cid"}


async def test_two_who_make_room_at_once_do_not_close_a_context_twice(make_pool: MakePool) -> None:
    pool = await make_pool(browser_contexts=1, render_threads=3)
    async with pool.lease("ann", soon()), pool.lease("bob", soon()), pool.lease("cid", soon()):
        assert len(current(pool)._identities) == 3
    await asyncio.gather(current(pool)._evict(keep=0), current(pool)._evict(keep=0))
    assert not current(pool)._identities
    async with pool.lease("dan", soon()) as lease:
        assert await lease.page.evaluate("1 + 1") == 2


async def test_a_warm_page_is_used_again_and_cleared_between(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool()
    render = Rendering(pool, site)
    await render("clock")
    async with pool.lease("ann", soon()) as lease:
        assert lease.page.url == "about:blank"
        assert len(lease.context.pages) == 1


async def test_memory_is_level_over_thirty_renders(make_pool: MakePool, site: Site) -> None:
    pool = await make_pool()
    render = Rendering(pool, site)
    weights = []
    for n in range(30):
        await render("charts", query={"n": n})
        if n in (9, 29):
            weights.append(await current(pool).memory_mib())
    assert weights[1] < weights[0] * 1.25 + 20
    assert len(current(pool)._identities["ann"].context.pages) == 1
