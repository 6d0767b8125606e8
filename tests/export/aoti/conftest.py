"""The bundled network as an AOTInductor package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from export.aoti.packages import Export
from srblocks_export.runtime import Artifact, load


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The bundled network, exported and verified as users do it."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "temporary").mkdir()
    command = [sys.executable, "-m", "srblocks_export.cli", "--aoti", "--json", "-q", "-o", "out"]
    environment = os.environ | {
        "TMPDIR": str(folder / "temporary"),
        "PYTHONPATH": os.pathsep.join(place for place in sys.path if place),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return Export(done.stdout, done.stderr, folder)


@pytest.fixture(scope="session")
def folder(export: Export) -> Path:
    return export.folder / "out"


@pytest.fixture(scope="session")
def package(folder: Path) -> Path:
    return folder / "fsrcnn_x2_fp32_dyn.aoti.pt2"


@pytest.fixture(scope="session")
def artifact(package: Path) -> Artifact:
    return load(package)
