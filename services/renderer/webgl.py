"""What draws WebGL without a graphics card: Mesa's software driver where it is installed, else Chromium's own.

Maps of deck.gl draw one shape for each of thousands of points; for that, Mesa's lavapipe takes far less CPU time than
Chromium's SwiftShader (docs/adr/0039).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path

from shared.errors import BrowserUnavailable
from shared.settings import Settings

# Where drivers of Vulkan say that they are there: "Driver Discovery on Linux" of the Vulkan loader's documentation.
FOLDERS = (Path("/etc/vulkan/icd.d"), Path("/usr/local/share/vulkan/icd.d"), Path("/usr/share/vulkan/icd.d"))
MEND = "apt-get install mesa-vulkan-drivers"


def find_driver(settings: Settings) -> Path | None:
    """The manifest of the Vulkan driver to draw with; None: Chromium's own. Blocking, all of it tiny.

    Raises BrowserUnavailable for one of the settings that cannot be used: without it, maps would stay blank.
    """
    if settings.webgl_driver == "chromium":
        return None
    if isinstance(settings.webgl_driver, Path):
        if not _is_usable(settings.webgl_driver):
            raise BrowserUnavailable(
                f"VITRINE_WEBGL_DRIVER names {settings.webgl_driver}, which is no manifest of a Vulkan driver that is "
                f"installed. {MEND}, or set it to auto."
            )
        return settings.webgl_driver
    return next(filter(_is_usable, _candidates()), None)


def environment(driver: Path | None) -> dict[str, str]:
    """The variables that make a browser draw with it; the Vulkan loader that Chromium brings reads them."""
    return {} if driver is None else {"VK_DRIVER_FILES": str(driver)}


def _candidates() -> Iterator[Path]:
    for folder in FOLDERS:
        for name in (f"lvp_icd.{platform.machine()}.json", "lvp_icd.json"):
            yield folder / name


def _is_usable(manifest: Path) -> bool:
    """Whether it names a library that is there; one without a folder is believed: the loader itself looks for it."""
    try:
        library = str(json.loads(manifest.read_text(encoding="utf-8"))["ICD"]["library_path"])
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return "/" not in library or (manifest.parent / library).is_file()  # an absolute path stays what it is
