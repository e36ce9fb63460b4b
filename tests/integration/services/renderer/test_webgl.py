"""What draws WebGL, in the real browser: Mesa's driver where it is installed; one that cannot be used is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.cli.checks.browser import WEBGL
from services.renderer import webgl
from shared.errors import BrowserUnavailable
from shared.settings import Settings

CENTRE = """async () => {
  const canvas = document.body.appendChild(document.createElement("canvas"));
  const gl = canvas.getContext("webgl2", {antialias: true});
  const program = gl.createProgram();
  const add = (kind, text) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, "#version 300 es\\n" + text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  };
  add(gl.VERTEX_SHADER,
    "void main() { gl_Position = vec4(vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3))[gl_VertexID], 0, 1); }");
  add(gl.FRAGMENT_SHADER, "precision mediump float; out vec4 c; void main() { c = vec4(0, 0.6, 1, 1); }");
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.drawArraysInstanced(gl.TRIANGLES, 0, 3, 3);
  const pixel = new Uint8Array(4);
  gl.readPixels(150, 75, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  return [...pixel];
}"""


async def drawn(pool: Any) -> tuple[str, list[int]]:
    """By whom, and the pixel in the middle of a triangle."""
    async with pool.lease("somebody", datetime.now(UTC) + timedelta(seconds=30)) as lease:
        return await lease.page.evaluate(WEBGL), await lease.page.evaluate(CENTRE)


@pytest.mark.parametrize(("chosen", "name"), [("auto", "llvmpipe"), ("chromium", "SwiftShader")])
async def test_webgl_is_drawn_by_the_driver_of_the_settings(
    make_pool: Callable[..., Any], chosen: str, name: str
) -> None:
    by, pixel = await drawn(await make_pool(webgl_driver=chosen))
    assert name in by
    assert pixel == [0, 153, 255, 255]


async def test_a_manifest_of_the_settings_is_used(
    make_pool: Callable[..., Any], make_settings: Callable[..., Settings]
) -> None:
    manifest = webgl.find_driver(make_settings())
    assert manifest is not None, f"there is none; {webgl.MEND}"
    by, _ = await drawn(await make_pool(webgl_driver=manifest))
    assert "llvmpipe" in by


@pytest.mark.parametrize("text", ["", "[]", "no json", json.dumps({"ICD": {"library_path": "/no/such/library.so"}})])
async def test_a_manifest_that_cannot_be_used_is_refused_at_the_start(
    make_settings: Callable[..., Settings], tmp_path: Path, text: str
) -> None:
    manifest = tmp_path / "driver.json"
    manifest.write_text(text)
    with pytest.raises(BrowserUnavailable, match=r"VITRINE_WEBGL_DRIVER names .*mesa-vulkan-drivers"):
        webgl.find_driver(make_settings(webgl_driver=manifest))


async def test_what_was_left_of_a_removed_driver_is_not_used(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webgl, "FOLDERS", (tmp_path,))
    (tmp_path / "lvp_icd.json").write_text(json.dumps({"ICD": {"library_path": "./libvulkan_lvp.so"}}))
    assert webgl.find_driver(make_settings()) is None
    (tmp_path / "libvulkan_lvp.so").touch()
    assert webgl.find_driver(make_settings()) == tmp_path / "lvp_icd.json"
