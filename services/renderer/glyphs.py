"""`python -m services.renderer.glyphs`: draws the scripts of the world in our browser and fails when one has no font.

A character without a font is drawn as a box, the same box as a code point that no font can have: each sample is
compared with that. Arabic must be joined, and emoji coloured, or their fonts are not those that the samples need.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from playwright.async_api import Page

from services.renderer.pool import BrowserPool
from shared.errors import VitrineError
from shared.settings import Settings, load

SAMPLES: Mapping[str, str] = {
    "Latin": "AzÄßŁğőÆ",
    "Greek": "ΑΩλπ",
    "Cyrillic": "ЖЩыѓ",
    "Arabic": "سلامچ",
    "Chinese": "汉字漢字数据",
    "Japanese": "ひらカナ日本",
    "Korean": "한국어",
    "symbols": "€→≤∑√−×",
    "emoji": "😀📈🚀",
}
PAGE_S = 60
# A character is its pixels, as text, and whether any is coloured; words have a width.
LOOK = """(samples) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 96;
    const ink = canvas.getContext('2d', { willReadFrequently: true });
    const font = '48px sans-serif';
    const drawn = (text) => {
        ink.clearRect(0, 0, 96, 96);
        ink.font = font;
        ink.fillStyle = '#000';
        ink.textBaseline = 'middle';
        ink.fillText(text, 8, 48);
        const pixels = ink.getImageData(0, 0, 96, 96).data;
        let ours = '', coloured = false;
        for (let i = 0; i < pixels.length; i += 4) {
            ours += pixels[i + 3] > 127 ? '1' : '0';
            coloured ||= pixels[i + 3] > 127 && Math.max(pixels[i], pixels[i + 1], pixels[i + 2]) > 60;
        }
        return { ours, coloured };
    };
    const missing = new Set(['\\u0378', '\\u{E0080}', '\\uFFFF'].map((point) => drawn(point).ours));
    missing.add(drawn(' ').ours);
    const problems = [];
    for (const [script, text] of Object.entries(samples)) {
        const boxes = [...text].filter((one) => missing.has(drawn(one).ours));
        if (boxes.length) {
            problems.push(`${script}: no glyph for ${boxes.join(' ')}`);
        } else if (script === 'Arabic') {
            ink.font = font;
            const joined = ink.measureText(text).width;
            const apart = ink.measureText([...text].join('\\u200C')).width;
            if (joined === apart) problems.push(`${script}: its letters are not joined`);
        } else if (script === 'emoji' && ![...text].every((one) => drawn(one).coloured)) {
            problems.push(`${script}: without colours`);
        }
    }
    return problems;
}"""


async def problems_of(page: Page, samples: Mapping[str, str] = SAMPLES) -> list[str]:
    """What can't be drawn, one line for each script; [] when all is well."""
    found: list[str] = await page.evaluate(LOOK, dict(samples))
    return found


async def look(settings: Settings) -> list[str]:
    """`problems_of` in a browser that is started for it, as the renderer starts its own. Raises BrowserUnavailable."""
    pool = BrowserPool(settings)
    await pool.start()
    try:
        async with pool.lease("glyphs", datetime.now(UTC) + timedelta(seconds=PAGE_S)) as lease:
            return await problems_of(lease.page)
    finally:
        await pool.drain()


def main() -> int:
    try:
        problems = asyncio.run(look(load()))
    except VitrineError as error:
        problems = [error.message]
    for problem in problems:
        print(f"vitrine: {problem}", file=sys.stderr)  # noqa: T201 — a command
    if not problems:
        print(f"every script has its glyphs: {', '.join(SAMPLES)}")  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
