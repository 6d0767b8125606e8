"""Truncated, damaged and oversized image files."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.images import PROFILE, XMP, exif_block, image_of, noise, written
from srblocks.inference.images import ImageFile, ImageFileError, read_image, write_image


def whole_files() -> Iterator[tuple[str, bytes]]:
    image = ImageFile(noise(24, 24, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    deep = image_of(noise(24, 24, 4, np.uint16), exif=exif_block(), icc_profile=PROFILE)
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        yield form, written(image, form)
    for form in ("PNG", "TIFF"):
        yield f"deep {form}", written(deep, form)


FILES = dict(whole_files())


@pytest.mark.parametrize("form", FILES)
def test_truncated_files_are_rejected(form: str) -> None:
    whole = FILES[form]
    cut = whole[: len(whole) * 2 // 3]
    with pytest.raises(ImageFileError, match="damaged or truncated"):
        read_image(io.BytesIO(cut))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=st.sampled_from(sorted(FILES)), data=st.data())
def test_damaged_files_raise_only_image_file_error(form: str, data: st.DataObject) -> None:
    content = bytearray(FILES[form])
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


def test_decompression_bombs_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 // 2 - 1)
    for content in FILES.values():
        with pytest.raises(ImageFileError, match="exceeds limit of 574 pixels"):
            read_image(io.BytesIO(content))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 - 1)
    assert read_image(io.BytesIO(FILES["PNG"])).pixels.shape == (24, 24, 3)
