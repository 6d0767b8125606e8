"""Images to upscale."""

from pathlib import Path

import numpy as np
import pytest

from helpers.images import waves
from srblocks.inference.images import ImageFile, write_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images, one of them in a subfolder, and a text file."""
    (tmp_path / "photos" / "summer").mkdir(parents=True)
    write_image(ImageFile(waves(20, 31)), tmp_path / "photos" / "first.png")
    write_image(ImageFile(waves(25, 18).astype(np.uint16) * 257), tmp_path / "photos" / "summer" / "second.tif")
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"
