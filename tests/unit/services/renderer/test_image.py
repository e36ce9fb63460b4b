from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.renderer.image import check_not_blank, check_size, clip_for, decode, encode, scale, stitch
from shared.errors import BlankPicture
from shared.targets import Format, Size

sides = st.integers(16, 3000)


def striped(width: int = 80, height: int = 60) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    image.paste((200, 30, 30), (0, 0, width, height // 2))
    return image


@pytest.mark.parametrize("picture_format", [Format.PNG, Format.WEBP])
def test_a_picture_survives_its_encoding(picture_format: Format) -> None:
    data = encode(striped(), picture_format)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == (picture_format.name, (80, 60))
    assert decode(data).getpixel((40, 55)) == (255, 255, 255)


def test_a_png_is_exact() -> None:
    assert decode(encode(striped(), Format.PNG)).tobytes() == striped().tobytes()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BlankPicture, match="no readable picture"):
        decode(b"GIF89a, or so it says")


def test_a_cut_picture_is_refused() -> None:
    with pytest.raises(BlankPicture):
        decode(encode(striped(800, 600), Format.PNG)[:-200])


def test_a_webp_that_would_be_too_tall_is_refused() -> None:
    with pytest.raises(BlankPicture, match="ask for PNG"):
        encode(striped(10, 17_000), Format.WEBP)


@given(st.builds(Size, sides, sides), st.builds(Size, sides, sides))
def test_a_clip_lies_in_the_window_and_has_the_thumbnails_proportions(window: Size, thumbnail: Size) -> None:
    clip = clip_for(window, thumbnail)
    assert clip.width <= window.width + 1e-6
    assert clip.height <= window.height + 1e-6
    assert clip.width / clip.height == pytest.approx(thumbnail.width / thumbnail.height)
    assert clip.pixels[0] >= thumbnail.width - 1


@pytest.mark.parametrize(
    ("thumbnail", "width", "height", "factor"),
    [
        (Size(800, 600), 1600, 1200, 0.5),  # the browser's own scale
        (Size(320, 240), 1600, 1200, 0.4),  # twice the size, then ours
        (Size(800, 300), 1600, 600, 0.5),  # the top
        (Size(400, 600), 800, 1200, 0.5),  # the left
        (None, 1600, 1200, 1),
    ],
)
def test_the_clip_of_a_thumbnail(thumbnail: Size | None, width: int, height: int, factor: float) -> None:
    clip = clip_for(Size(1600, 1200), thumbnail)
    assert (clip.width, clip.height, clip.scale) == pytest.approx((width, height, factor))


def test_scaling_gives_exactly_the_size_and_keeps_colours() -> None:
    scaled = scale(striped(), Size(33, 25))
    assert scaled.size == (33, 25)
    assert (scaled.getpixel((16, 2)), scaled.getpixel((16, 22))) == ((200, 30, 30), (255, 255, 255))


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = striped()
    assert scale(image, Size(80, 60)) is image


def test_strips_are_put_one_below_the_other() -> None:
    whole = stitch([striped(10, 4), striped(10, 6)])
    assert whole.size == (10, 10)
    assert [whole.getpixel((5, y)) == (255, 255, 255) for y in range(10)] == [False] * 2 + [True] * 2 + [False] * 3 + [
        True
    ] * 3


def test_a_single_colour_is_blank() -> None:
    with pytest.raises(BlankPicture, match="one single colour"):
        check_not_blank(Image.new("RGB", (20, 20), (250, 250, 250)))


def test_a_single_other_pixel_is_not_blank() -> None:
    image = Image.new("RGB", (200, 200), "white")
    image.putpixel((199, 199), (254, 255, 255))
    check_not_blank(image)


def test_a_wrong_size_is_refused() -> None:
    check_size(striped(), 80, 60)
    check_size(striped(), 81, 60, tolerance=1)
    with pytest.raises(BlankPicture, match="80×60 pixels instead of 80×61"):
        check_size(striped(), 80, 61)
