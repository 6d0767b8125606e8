"""The bundled network as an AOTInductor package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from srblocks_export.runtime import Artifact, load


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command printed and left, exporting and verifying as users do; made once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "aoti"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            run_export(folder)
    return folder


def run_export(folder: Path) -> None:
    for name in ("temporary", "home"):
        (folder / name).mkdir(parents=True)
    command = [sys.executable, "-m", "srblocks_export.cli", "--aoti", "--json", "-q", "-o", "out"]
    environment = os.environ | {
        "TMPDIR": str(folder / "temporary"),
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
    }
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        subprocess.run(command, cwd=folder / "home", env=environment, stdout=out, stderr=err, timeout=300, check=False)


@pytest.fixture(scope="session")
def folder(export: Path) -> Path:
    return export / "home" / "out"


@pytest.fixture(scope="session")
def package(folder: Path) -> Path:
    return folder / "fsrcnn_x2_fp32_dyn.aoti.pt2"


@pytest.fixture(scope="session")
def artifact(package: Path) -> Artifact:
    return load(package)
