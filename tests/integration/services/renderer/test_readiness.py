"""Readiness on real pages in a real Chromium: what must be waited for, what must not, and what is an Error."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from shared.errors import CatalogUnavailable, ChartFailed, LoginPage, NavigationFailed, NotReady, PageRefused
from shared.targets import Size, TargetKind
from tests.integration.services.renderer.conftest import Rendering

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
