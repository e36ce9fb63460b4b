"""The browser, found exactly as `make` finds it."""

import subprocess
from functools import cache
from pathlib import Path

from tests.harness.errors import HarnessError

BOOTSTRAP = Path(__file__).parents[2] / "scripts" / "bootstrap.sh"


@cache
def find_chromium() -> Path:
    """The Chromium that `scripts/bootstrap.sh find-chromium` names."""
    done = subprocess.run([BOOTSTRAP, "find-chromium"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HarnessError(done.stderr.strip())
    return Path(done.stdout.strip())
