"""Whether a browser has fonts for what people write: told by its own pixels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.renderer.glyphs import SAMPLES, problems_of
from tests.integration.services.renderer.conftest import Rendering

pytestmark = pytest.mark.asyncio(loop_scope="session")
UNASSIGNED = "\u0378\u0530\u2fe0"  # no font has them


async def test_scripts_with_a_font_pass_and_one_without_is_named(render: Rendering) -> None:
    samples = {name: SAMPLES[name] for name in ("Latin", "Greek", "Cyrillic", "Arabic", "symbols", "emoji")}
    async with render.pool.lease("ann", datetime.now(UTC) + timedelta(seconds=30)) as lease:
        assert await problems_of(lease.page, samples) == []
        (problem,) = await problems_of(lease.page, samples | {"Nobody's": UNASSIGNED})
    assert problem == f"Nobody's: no glyph for {' '.join(UNASSIGNED)}"
