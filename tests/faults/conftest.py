"""Servers that run the commands, and their input files."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.commands import Commands
from srblocks.inference.images import ImageFile, write_image


@pytest.fixture(scope="session")
def _open_folder() -> Iterator[Path]:
    """A folder that unprivileged users can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def commands(_open_folder: Path) -> Iterator[Commands]:
    """Runs commands with everything imported."""
    with Commands(_open_folder / "commands") as server:
        yield server


@pytest.fixture(scope="session")
def bare_commands(_open_folder: Path) -> Iterator[Commands]:
    """Runs commands with only the required libraries imported."""
    with Commands(
        _open_folder / "bare", ["torch", "numpy", "einops", "safetensors.torch", "rich.table"], warm=False
    ) as server:
        yield server


@pytest.fixture
def folder(_open_folder: Path, request: pytest.FixtureRequest) -> Path:
    """An empty folder that every user may write to."""
    made = _open_folder / request.node.name.translate(str.maketrans("[]/", "---"))
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.fixture(scope="session")
def images(_open_folder: Path) -> Path:
    """Three images in different formats."""
    made = _open_folder / "images"
    made.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.tif")):
        samples = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        write_image(ImageFile(samples), made / name)
    return made
