"""Readiness on real pages in a real Chromium: what must be waited for, what must not, and what is an Error."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from services.renderer import visit
from shared.catalog.port import Page
from shared.catalog.superset.pages import AHEAD
from shared.errors import CatalogUnavailable, ChartFailed, LoginPage, NavigationFailed, NotReady, PageRefused
from shared.targets import Size, TargetKind
from tests.integration.services.renderer.conftest import RULE, Rendering

pytestmark = pytest.mark.asyncio(loop_scope="session")


def seconds(render: Rendering, step: str) -> float:
    return next(float(entry["seconds"]) for entry in render.timeline.as_json() if entry["step"] == step)


def colours(picture: bytes) -> set[object]:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return {colour for count, colour in image.getcolors(2**24) or [] if count > 20}


STEELBLUE, TOMATO, GOLD, SEAGREEN = (70, 130, 180), (255, 99, 71), (255, 215, 0), (46, 139, 87)


async def test_a_finished_page_is_ready_at_once(render: Rendering) -> None:
    rendered = await render("charts", thumbnail=None)
    assert (rendered.ready.holders, rendered.ready.failed, rendered.ready.title) == (2, (), "A page")
    assert {STEELBLUE, TOMATO} <= colours(next(iter(rendered.pictures.values())))
    assert seconds(render, "ready") < 2


@pytest.mark.parametrize(
    ("page", "least_s", "holders"),
    [
        ("slow-chart", 0.7, 2),
        ("late-root", 0.4, 1),
        ("late-holder", 0.5, 2),
        ("fetching", 0.4, 1),
        ("spinner-gap", 0.5, 1),
    ],
)
async def test_what_still_comes_is_waited_for(render: Rendering, page: str, least_s: float, holders: int) -> None:
    rendered = await render(page, thumbnail=None)
    assert rendered.ready.holders == holders
    assert seconds(render, "navigated") + seconds(render, "ready") >= least_s
    assert STEELBLUE in colours(next(iter(rendered.pictures.values())))


async def test_a_page_whose_styles_are_still_on_their_way_is_not_ready(render: Rendering) -> None:
    rendered = await render("late-style", thumbnail=None)
    assert GOLD in colours(next(iter(rendered.pictures.values())))


async def test_a_chart_that_goes_on_drawing_is_waited_for(render: Rendering) -> None:
    rendered = await render("drawn-in-steps", thumbnail=None)
    picture = Image.open(io.BytesIO(next(iter(rendered.pictures.values())))).convert("RGB")
    assert sum(count for count, colour in picture.getcolors(2**24) or [] if colour == GOLD) == 5 * 20 * 450


async def test_a_page_without_charts_is_ready(render: Rendering) -> None:
    assert (await render("zero-charts")).ready.holders == 0
    assert seconds(render, "ready") < 2


async def test_an_empty_chart_is_terminal(render: Rendering) -> None:
    ready = (await render("empty-chart", kind=TargetKind.CHART)).ready
    assert (ready.holders, ready.empty, ready.failed) == (1, 1, ())


async def test_a_chart_in_a_hidden_tab_is_no_part_of_the_picture(render: Rendering) -> None:
    assert (await render("hidden-tab")).ready.holders == 1


@pytest.mark.parametrize("thumbnail", [None, Size(400, 300)])
async def test_charts_drawn_only_when_in_view_are_drawn(render: Rendering, thumbnail: Size | None) -> None:
    assert (await render("scroll-lazy", thumbnail=thumbnail)).ready.holders == 8


@pytest.mark.parametrize(("page", "most_s"), [("clock", 2.0), ("long-poll", 4.0), ("decoration", 8.0)])
async def test_a_page_that_never_rests_is_captured_once_its_charts_are_complete(
    render: Rendering, page: str, most_s: float
) -> None:
    assert (await render(page)).ready.holders == 1
    assert seconds(render, "ready") < most_s


async def test_a_drawn_chart_that_moves_for_ever_is_captured_in_the_end(render: Rendering) -> None:
    ready = (await render("restless-chart", seconds=30)).ready
    assert ready.restless
    assert 10 <= seconds(render, "ready") < 15


@pytest.mark.parametrize("page", ["dialogs", "pop-ups", "download-inside"])
async def test_interruptions_are_dismissed(render: Rendering, page: str) -> None:
    assert (await render(page)).ready.holders == 1
    assert (await render("one-chart")).ready.holders == 1


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("never-drawn", "chart 7 (Sales by region) never finished drawing"),
        ("never-laid-out", "never showed its content"),
        ("endless-spinner", "a loading indicator never went away"),
        ("spin", "its own script never paused"),
        ("spin-later", "its own script never paused"),
    ],
)
async def test_a_page_that_never_gets_ready_says_what_was_missing(render: Rendering, page: str, words: str) -> None:
    with pytest.raises(NotReady, match="not complete after") as raised:
        await render(page, seconds=2)
    assert words in raised.value.message
    assert 1 < seconds(render, "ready") < 3.5


@pytest.mark.parametrize(
    ("page", "kind", "error", "words"),
    [
        ("failed-chart", TargetKind.CHART, ChartFailed, "no such column: price"),
        ("all-failed", TargetKind.DASHBOARD, ChartFailed, "All 2 charts failed"),
        ("blank-canvas", TargetKind.CHART, ChartFailed, "canvas is blank"),
        ("failed-page", TargetKind.DASHBOARD, PageRefused, "the layout cannot be read"),
        ("login", TargetKind.DASHBOARD, LoginPage, "not signed in"),
        ("leaves-for-login", TargetKind.DASHBOARD, LoginPage, "not signed in"),
    ],
)
async def test_a_page_that_failed_ends_with_its_own_reason(
    render: Rendering, page: str, kind: TargetKind, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as raised:
        await render(page, kind=kind)
    assert words in str(raised.value)


async def test_an_error_of_a_page_whose_session_ended_is_a_log_in_page(render: Rendering) -> None:
    rule = replace(RULE, error=".error")
    with pytest.raises(PageRefused, match="It could not be read"):
        await render("signed-out", readiness=rule)
    with pytest.raises(LoginPage):
        await render("signed-out", readiness=replace(rule, signed_out=("401",)))


@pytest.mark.parametrize("missing", ["style", "script", "import", "font", "answer", "boot"])
async def test_a_page_whose_server_did_not_give_all_its_files_is_tried_again(render: Rendering, missing: str) -> None:
    with pytest.raises(CatalogUnavailable, match=r"did not serve /file-of \((status 50|no answer)"):
        await render(f"without-its-{missing}")
    assert seconds(render, "ready") < 3


@pytest.mark.parametrize("page", ["never-had-it", "asks-again"])
async def test_a_file_that_is_missing_for_good_or_came_in_the_end_is_no_outage(render: Rendering, page: str) -> None:
    assert (await render(page)).ready.holders == 1


async def test_a_page_that_breaks_off_is_tried_again(render: Rendering) -> None:
    with pytest.raises(NavigationFailed, match="broke off"):
        await render("breaks-off")
    assert seconds(render, "ready") < 3


async def test_some_failed_charts_make_a_picture_that_names_them(render: Rendering) -> None:
    ready = (await render("some-failed")).ready
    assert (ready.holders, ready.failed) == (2, (("2", "division by zero"),))


async def test_a_thumbnail_waits_for_what_it_shows_and_for_nothing_below(render: Rendering) -> None:
    rendered = await render("below-never")
    assert (rendered.ready.holders, rendered.ready.failed) == (3, ())
    assert STEELBLUE in colours(next(iter(rendered.pictures.values())))
    assert seconds(render, "ready") < 1.9, "less than what is unknown is waited for"
    with pytest.raises(NotReady, match=r"chart 2 \(Chart 2\) never finished drawing"):
        await render("below-never", thumbnail=None, seconds=3)


async def test_a_thumbnail_of_a_place_on_the_page_waits_for_all_that_may_move_it(render: Rendering) -> None:
    with pytest.raises(NotReady, match=r"chart 2 \(Chart 2\) never finished drawing"):
        await render(f"{render.site.url('below-never')}#chart-1", seconds=3)


async def test_a_thumbnail_waits_for_a_chart_that_moves_into_it(render: Rendering) -> None:
    rendered = await render("fold-moves")
    assert STEELBLUE in colours(next(iter(rendered.pictures.values())))


async def test_a_thumbnail_waits_for_what_its_charts_fetch_when_they_are_drawn(render: Rendering) -> None:
    assert GOLD in colours(next(iter((await render("fetches-late")).pictures.values())))


async def test_nothing_known_but_failures_is_a_failure(render: Rendering) -> None:
    with pytest.raises(ChartFailed, match="division by zero"):
        await render("shown-failed")


async def test_a_thumbnail_tells_of_the_failures_that_it_shows(render: Rendering) -> None:
    assert (await render("below-failed")).ready.failed == ()
    assert (await render("below-failed", thumbnail=None)).ready.failed == (("2", "division by zero"),)
    shown = (await render("above-failed")).ready
    assert shown.flaw == "1 of 2 charts failed; the first of them, chart 1: division by zero."


@pytest.mark.parametrize(
    ("thumbnail", "draws_ahead", "drawn"), [(Size(400, 300), AHEAD, 1), (Size(400, 300), "", 4), (None, AHEAD, 4)]
)
async def test_what_a_page_draws_ahead_of_the_view_is_not_drawn_for_a_thumbnail(
    render: Rendering, thumbnail: Size | None, draws_ahead: str, drawn: int
) -> None:
    spec = Page(render.site.url("ahead"), RULE, is_hasty=True, draws_ahead=draws_ahead)
    window, deadline = Size(800, 600), datetime.now(UTC) + timedelta(seconds=20)
    async with render.pool.lease("ann", deadline) as lease:
        await visit.sign_in(lease, spec, window)
        await visit.navigate(lease, spec, render.pool.egress, deadline)
        full = thumbnail is None
        await visit.until_ready(lease, spec, render.pool.egress, window=window, full=full, deadline=deadline)
        assert await lease.page.locator("[data-state=drawn]").count() == drawn


# How much each clock moves on while 100 ms pass: in frames, and outside of them.
CLOCKS = """async () => {
  const read = (time) => ({time, now: performance.now(), date: Date.now(), made: Number(new Date()),
    truly: document.timeline.currentTime});
  const framed = () => new Promise((done) => requestAnimationFrame((time) => done(read(time))));
  const apart = (a, b) => Object.fromEntries(Object.keys(a).map((clock) => [clock, b[clock] - a[clock]]));
  const out = read(performance.now()), first = await framed();
  await new Promise((done) => setTimeout(done, 100));
  const last = await framed();
  return [apart(first, last), apart(out, read(performance.now()))];
}"""


@pytest.mark.parametrize(("is_hasty", "draws_webgl"), [(True, False), (True, True), (False, False)])
async def test_only_in_frames_and_until_webgl_is_drawn_a_hasty_page_has_fast_clocks(
    render: Rendering, is_hasty: bool, draws_webgl: bool
) -> None:
    spec = Page(render.site.url("one-chart"), RULE, is_hasty=is_hasty)
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    async with render.pool.lease("ann", deadline) as lease:
        await visit.sign_in(lease, spec, Size(800, 600))
        await visit.navigate(lease, spec, render.pool.egress, deadline)
        if draws_webgl:
            await lease.page.evaluate("() => { document.createElement('canvas').getContext('webgl'); }")
        framed, outside = await lease.page.evaluate(CLOCKS)
    for clock, passed in framed.items():  # sixteen times as far, or as far as the frame itself
        if is_hasty and not draws_webgl and clock != "truly":
            assert passed > 6 * framed["truly"], clock
        else:
            assert passed < 3 * framed["truly"], clock
    assert outside["now"] == pytest.approx(outside["date"], abs=20)
    assert outside["now"] < 3 * outside["truly"] + 200, "time goes on as ever"
