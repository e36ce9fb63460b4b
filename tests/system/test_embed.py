"""docs/how-to/embed.md: a picture for everybody, in somebody else's page, in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.harness.chromium import find_chromium
from tests.harness.person import PASSWORD
from tests.harness.stack import ROOT, Stack

EMBED = ROOT / "deploy" / "embed"
WIDTH, HEIGHT = 1000, 900


def preview(stack: Stack, folder: Path, *words: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    (folder / "password").write_text(f"{password}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PREVIEW_URL": stack.url,
        "PREVIEW_USER": "nora",
        "PREVIEW_PASSWORD_FILE": str(folder / "password"),
    }
    command = [sys.executable, str(EMBED / "preview.py"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_page_of_another_site_shows_a_current_picture(stack: Stack, tmp_path: Path) -> None:
    done = preview(stack, tmp_path, stack.ids["shop"], str(tmp_path / "shop.png"))
    assert (done.returncode, done.stderr) == (0, "")
    shutil.copy(EMBED / "preview.html", tmp_path)
    shot = tmp_path / "shot.png"
    options = ["--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}"]
    browser = [str(find_chromium()), "--headless", *options, (tmp_path / "preview.html").as_uri()]
    subprocess.run(browser, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as page, Image.open(tmp_path / "shop.png") as picture:
        shown = {colour for _, colour in page.convert("RGB").getcolors(2**24) or []}
        drawn = {colour for count, colour in picture.convert("RGB").getcolors(2**24) or [] if count > 2000}
    assert len(drawn) > 1
    assert drawn <= shown  # its large areas are there: the page shows it, whole


def test_what_goes_wrong_is_one_line_and_the_last_picture_stays(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "shop.png"
    file.write_bytes(b"the last good one")
    wrong = preview(stack, tmp_path, stack.ids["shop"], str(file), password="not it, though long")
    unseen = preview(stack, tmp_path, "dashboard/4711", str(file))
    for done, code in ((wrong, "401"), (unseen, "404")):
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert code in done.stderr
    assert file.read_bytes() == b"the last good one"
