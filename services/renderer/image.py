"""Pictures in memory: scale, stitch, encode, check. Pure; every function is CPU work, so callers run it in a thread."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from shared.errors import BlankPicture
from shared.targets import Format, Size

PNG_LEVEL = 4  # of zlib: 9 takes four times as long for 3 % less
WEBP_QUALITY = 86
WEBP_METHOD = 3  # 0 fast … 6 small
MAX_WEBP_PX = 16_383
Image.MAX_IMAGE_PIXELS = 2**30  # our own screenshots may be as large; nothing else is decoded here


def decode(data: bytes) -> Image.Image:
    """A decoded RGB picture. Raises BlankPicture for bytes that are no picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except OSError as error:
        raise BlankPicture("The browser's screenshot is no readable picture.") from error


def scale(image: Image.Image, size: Size) -> Image.Image:
    """The picture at exactly `size`; its proportions are those of `size` already, to a pixel (see `clip_for`)."""
    target = (size.width, size.height)
    return image if image.size == target else image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)


@dataclass(frozen=True, slots=True)
class Clip:
    """What the browser is asked for: the top left `width` × `height` CSS pixels, times `scale`."""

    width: float
    height: float
    scale: float

    @property
    def pixels(self) -> tuple[int, int]:
        return round(self.width * self.scale), round(self.height * self.scale)


def clip_for(window: Size, thumbnail: Size | None) -> Clip:
    """The clip that gives `thumbnail` with the least work; where the proportions differ the bottom or right is cut off.

    The browser draws text afresh at the smaller scale, but halves canvases at most once well: below one half it gives
    twice the size, and `scale` does the rest. None: the whole window.
    """
    if thumbnail is None:
        return Clip(window.width, window.height, 1)
    factor = max(thumbnail.width / window.width, thumbnail.height / window.height)
    return Clip(thumbnail.width / factor, thumbnail.height / factor, factor if factor >= 0.5 else factor * 2)


def stitch(strips: Sequence[Image.Image]) -> Image.Image:
    """Strips of equal width, one below the other."""
    if len(strips) == 1:
        return strips[0]
    whole = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    top = 0
    for strip in strips:
        whole.paste(strip, (0, top))
        top += strip.height
    return whole


def encode(image: Image.Image, picture_format: Format) -> bytes:
    """PNG or WebP bytes. Raises BlankPicture when the picture is too tall for WebP."""
    out = io.BytesIO()
    if picture_format is Format.WEBP:
        if max(image.size) > MAX_WEBP_PX:
            raise BlankPicture(f"A picture of {image.width}×{image.height} pixels cannot be a WebP file; ask for PNG.")
        image.save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)
    else:
        image.save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def check_size(image: Image.Image, width: int, height: int, *, tolerance: int = 0) -> None:
    """Raises BlankPicture when the picture is cut or stretched by more than `tolerance` pixels."""
    if abs(image.width - width) > tolerance or abs(image.height - height) > tolerance:
        raise BlankPicture(f"The screenshot has {image.width}×{image.height} pixels instead of {width}×{height}.")


def check_not_blank(image: Image.Image) -> None:
    """Raises BlankPicture for a picture of one colour: no page of ours is that, an empty dashboard shows its title."""
    bands = image.getextrema()
    spans = [bands] if isinstance(bands[0], (int, float)) else list(bands)
    if all(low == high for low, high in spans):
        raise BlankPicture("The screenshot is one single colour: the browser drew nothing.")
