"""Whole renders in a real Chromium: pictures, formats, the errors of navigation, and egress."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import pytest
from PIL import Image

from shared.errors import (
    BlankPicture,
    DeadlineExceeded,
    EgressDenied,
    LoginPage,
    NavigationFailed,
    PageRefused,
)
from shared.targets import Format, Size
from tests.integration.services.renderer.conftest import Rendering
from tests.sites import Trap

pytestmark = pytest.mark.asyncio(loop_scope="session")


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


@pytest.mark.parametrize(
    ("window", "thumbnail"),
    [
        (Size(800, 600), Size(800, 600)),
        (Size(1600, 1200), Size(800, 600)),
        (Size(1600, 1200), Size(320, 240)),
        (Size(1600, 1200), Size(333, 187)),
        (Size(800, 600), Size(1000, 500)),
    ],
)
async def test_a_thumbnail_has_exactly_its_size(render: Rendering, window: Size, thumbnail: Size) -> None:
    rendered = await render("charts", window=window, thumbnail=thumbnail, formats=(Format.PNG, Format.WEBP))
    for picture_format, picture in rendered.pictures.items():
        image = opened(picture)
        assert (image.format, image.size) == (picture_format.name, (thumbnail.width, thumbnail.height))
    assert rendered.final_url == render.site.url("charts")


async def test_a_thumbnail_is_the_top_of_the_page(render: Rendering) -> None:
    wide = opened((await render("charts", window=Size(800, 600), thumbnail=Size(400, 100))).pictures[Format.PNG])
    whole = opened((await render("charts", thumbnail=None)).pictures[Format.PNG])
    top = whole.convert("RGB").crop((0, 0, 800, 200)).resize((400, 100), Image.Resampling.BOX)
    difference = [abs(a - b) for a, b in zip(wide.convert("L").tobytes(), top.convert("L").tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 2


async def test_of_a_page_that_scrolled_to_an_anchor_it_is_what_is_in_view(render: Rendering) -> None:
    view = opened((await render("scrolled", window=Size(800, 600), thumbnail=Size(800, 600))).pictures[Format.PNG])
    whole = opened((await render("scrolled", window=Size(800, 600), thumbnail=None)).pictures[Format.PNG])
    assert view.convert("RGB").tobytes() == whole.convert("RGB").crop((0, 500, 800, 1100)).tobytes()


async def test_a_screenshot_is_the_whole_page(render: Rendering) -> None:
    rendered = await render("scroll-lazy", window=Size(800, 600), thumbnail=None)
    image = opened(rendered.pictures[Format.PNG]).convert("RGB")
    assert image.size == (800, rendered.ready.height)
    assert rendered.ready.height > 8 * 400
    drawn = [count for count, colour in image.getcolors(2**24) or [] if colour == (46, 139, 87)]
    assert drawn == [8 * 20 * 450]


async def test_a_page_taller_than_a_surface_is_captured_whole(render: Rendering) -> None:
    rendered = await render("tall", window=Size(800, 600), thumbnail=None, seconds=60)
    image = opened(rendered.pictures[Format.PNG]).convert("RGB")
    assert image.size == (800, 20_000)
    # Each of the 100 charts stands where it must, in its own colour, and so does the page's end.
    assert len({image.getpixel((20 + 265, 100 + 184 * n + 140)) for n in range(100)}) == 100
    assert image.getpixel((400, 19_990)) == (221, 238, 255)


async def test_a_page_that_grows_with_its_window_is_captured_whole(render: Rendering) -> None:
    rendered = await render("full-of-windows", window=Size(800, 600), thumbnail=None)
    image = opened(rendered.pictures[Format.PNG])
    assert 1000 < image.height == rendered.ready.height < 1200


async def test_a_pdf_is_vector_and_one_page(render: Rendering) -> None:
    formats = (Format.PNG, Format.PDF)
    pdf = (await render("charts", thumbnail=None, formats=formats)).pictures[Format.PDF]
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    assert b"/Font" in pdf
    assert re.search(rb"/MediaBox\s*\[\s*0 0 600(\.\d+)? 450(\.\d+)?\s*\]", pdf)


async def test_a_page_of_one_colour_is_no_picture(render: Rendering) -> None:
    with pytest.raises(BlankPicture, match="one single colour"):
        await render("uniform")


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, LoginPage), (403, PageRefused), (404, PageRefused), (429, NavigationFailed), (500, NavigationFailed)],
)
async def test_a_status_that_is_no_page_is_an_error(render: Rendering, code: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(code)):
        await render("status", query={"code": code})


async def test_a_download_is_no_page(render: Rendering) -> None:
    with pytest.raises(PageRefused, match="download"):
        await render("file")


async def test_a_page_that_never_answers_ends_at_the_deadline(render: Rendering) -> None:
    with pytest.raises(NavigationFailed, match="did not answer within 1 s"):
        await render("never", seconds=1.4)


async def test_a_passed_deadline_renders_nothing(render: Rendering) -> None:
    hits = len(render.site.hits)
    with pytest.raises(DeadlineExceeded):
        await render("charts", seconds=-1)
    assert len(render.site.hits) == hits


async def test_cookies_and_headers_go_to_the_pages_origin(render: Rendering) -> None:
    await render("one-chart", cookies={"vitrine_session": "secret"}, headers={"X-Who": "ann"}, executor="zoe")
    hit = [hit for hit in render.site.hits if hit.path == "/one-chart"][-1]
    assert (hit.headers["Cookie"], hit.headers["X-Who"]) == ("vitrine_session=secret", "ann")
    await render("one-chart", executor="zoe")
    assert "X-Who" not in [hit for hit in render.site.hits if hit.path == "/one-chart"][-1].headers


async def test_a_session_stays_as_its_site_renewed_it_until_it_is_another_or_a_render_fails(render: Rendering) -> None:
    """Files that vary by cookie are fetched anew for each new one."""
    before = len(render.site.hits)
    for page, session in (("renews", "a"), ("one-chart", "a"), ("login", "a"), ("one-chart", "a"), ("one-chart", "b")):
        with suppress(LoginPage):
            await render(page, cookies={"session": session}, executor="yan")
    hits = [hit for hit in render.site.hits[before:] if hit.path in ("/renews", "/one-chart", "/login")]
    sent = [hit.headers["Cookie"].removeprefix("session=") for hit in hits]
    assert sent == ["a", "renewed", "renewed", "a", "b"]


async def test_a_session_that_the_site_took_away_is_given_again(render: Rendering) -> None:
    for page in ("forgets", "one-chart"):
        await render(page, cookies={"session": "a"}, executor="xan")
    assert render.site.hits[-1].headers["Cookie"] == "session=a"


async def test_pages_of_two_identities_share_no_cookie_though_one_executor_draws_both(render: Rendering) -> None:
    await render("one-chart", cookies={"session": "secret"}, executor="pages/reader", identity="signed-in")
    await render("one-chart", executor="pages/reader", identity="nobody")
    assert "Cookie" not in [hit for hit in render.site.hits if hit.path == "/one-chart"][-1].headers


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:text/html,hello", "chrome://version", "http://127.0.0.1:1/"]
)
async def test_a_forbidden_address_is_refused_before_navigation(render: Rendering, url: str) -> None:
    with pytest.raises(EgressDenied):
        await render(url)


@pytest.mark.parametrize("page", ["redirect", "leaves"])
async def test_a_page_that_goes_to_a_forbidden_place_is_an_error(render: Rendering, trap: Trap, page: str) -> None:
    with pytest.raises(EgressDenied, match=f"127.0.0.1:{trap.port}"):
        await render(page, query={"to": f"http://127.0.0.1:{trap.port}/"})
    assert trap.caught == []


async def test_no_request_of_a_page_reaches_another_port(render: Rendering, trap: Trap) -> None:
    await render("escape", query={"port": trap.port}, seconds=40)
    assert trap.caught == []


async def test_the_timeline_names_every_step_in_order(render: Rendering) -> None:
    await render("charts")
    steps = [entry["step"] for entry in render.timeline.as_json()]
    assert steps == ["leased", "signed_in", "navigated", "ready", "captured"]
