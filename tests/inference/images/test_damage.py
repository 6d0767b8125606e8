"""Truncated, damaged and oversized image files."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.images import PROFILE, XMP, encode, exif_block, image_of, noise
from srblocks.inference.images import ImageFile, ImageFileError, read_image, write_image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "16-bit PNG", "16-bit TIFF")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A valid file of each of `FORMATS`."""
    image = ImageFile(noise(24, 24, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    deep = image_of(noise(24, 24, 4, np.uint16), exif=exif_block(), icc_profile=PROFILE)
    return {name: encode(deep if "16" in name else image, name.rpartition(" ")[2]) for name in FORMATS}


def test_truncated_files(files: dict[str, bytes]) -> None:
    for content in files.values():
        with pytest.raises(ImageFileError, match="damaged or truncated"):
            read_image(io.BytesIO(content[: len(content) * 2 // 3]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(FORMATS), data=st.data())
def test_damaged_files_raise_only_image_file_error(files: dict[str, bytes], name: str, data: st.DataObject) -> None:
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, min(len(content), 700) - 1) | st.integers(0, len(content) - 1))
        content[where] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    try:
        image = read_image(io.BytesIO(bytes(content)))
    except ImageFileError:
        return
    if image.pixels.size < 10**6:
        for target in ("PNG", "JPEG", "TIFF"):
            write_image(image, io.BytesIO(), format=target)


def test_decompression_bombs_are_rejected(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 // 2 - 1)
    for content in files.values():
        with pytest.raises(ImageFileError, match="exceeds limit of 574 pixels"):
            read_image(io.BytesIO(content))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 - 1)
    assert read_image(io.BytesIO(files["PNG"])).pixels.shape == (24, 24, 3)
