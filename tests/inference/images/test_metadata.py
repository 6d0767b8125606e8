"""Metadata of image files: kept, or dropped with a warning."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from helpers.images import PROFILE, XMP, exif_block, noise, stream_at_start, written
from srblocks.inference.images import ImageFile, read_image, write_image
from srblocks.inference.images.image import exif_of_size


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_metadata_is_kept_to_the_byte(form: str, channels: int) -> None:
    exif = exif_of_size(exif_block(), 20, 30)
    image = ImageFile(noise(20, 30, channels), exif=exif, xmp=XMP, icc_profile=PROFILE)
    found = read_image(io.BytesIO(written(image, form)))
    assert (found.exif, found.xmp, found.icc_profile) == (exif, XMP, PROFILE)
    again = read_image(io.BytesIO(written(found, form)))
    assert (again.exif, again.xmp, again.icc_profile) == (exif, XMP, PROFILE)
    assert found.pixels.shape[2] == (3 if form == "WEBP" else channels)


@pytest.mark.parametrize("first,second", [("JPEG", "TIFF"), ("TIFF", "JPEG"), ("TIFF", "TIFF"), ("PNG", "TIFF")])
def test_the_tags_survive_a_tiff(first: str, second: str) -> None:
    image = ImageFile(noise(20, 30, 3), exif=exif_block(), dpi=(300.0, 300.0), icc_profile=PROFILE, xmp=XMP)
    found = read_image(io.BytesIO(written(image, first)))
    found = read_image(io.BytesIO(written(found, second)))
    assert found.exif is not None
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + found.exif)
    assert exif[0x010F] == "Camera"
    assert exif.get_ifd(0x8769)[0x927C] == b"maker's note, in a format of its own"
    assert exif.get_ifd(0xA005) == {1: "R98"}
    assert (found.xmp, found.icc_profile, found.dpi) == (XMP, PROFILE, pytest.approx((300, 300), rel=1e-4))
    if second == "JPEG":
        assert {256, 257, 258, 259, 273, 277, 278, 279} & {*exif} == set()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    exif, image = Image.Exif(), Image.fromarray(noise(4, 6, 3))
    exif[0x0112] = orientation
    for suffix in (".png", ".tif", ".jpg"):
        image.save(tmp_path / f"given{suffix}", exif=exif)
        with Image.open(tmp_path / f"given{suffix}") as given:
            expected = np.asarray(ImageOps.exif_transpose(given))
        for target in (".png", ".tif"):
            write_image(read_image(tmp_path / f"given{suffix}"), tmp_path / f"new{target}")
            with Image.open(tmp_path / f"new{target}") as new:
                assert np.array_equal(np.asarray(ImageOps.exif_transpose(new)), expected), (suffix, target)
    assert np.array_equal(read_image(tmp_path / "given.png").pixels, np.asarray(image))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("side_kind", ["H", "I"])
@pytest.mark.parametrize("height,width", [(40, 60), (65535, 70000)])
def test_only_the_stated_size_changes_in_an_exif_block(order: str, side_kind: str, height: int, width: int) -> None:
    before = exif_block(order, side_kind=side_kind)
    after = exif_of_size(before, height, width)
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + after)
    camera = exif.get_ifd(0x8769)
    assert (camera[0xA002], camera[0xA003], exif[0x0112]) == (width, height, 6)
    assert camera[0x927C] == b"maker's note, in a format of its own"
    changed = [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    start = 8 + 2 + 36 + 4 + 2 + 12
    assert all(start <= index < start + 24 for index in changed)
    assert exif_of_size(before, 20, 30) == before
    assert exif_of_size(after, 20, 30) == before or width > 65535


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.binary(max_size=8))
def test_damaged_exif_blocks_stay_as_they_are_or_of_their_length(block: bytes, cut: int, patch: bytes) -> None:
    damaged = exif_block()[:cut] + patch + exif_block()[cut + len(patch) :]
    for each in (block, exif_block()[:cut], damaged):
        assert len(exif_of_size(each, 5, 6)) == len(each)


def test_dropped_metadata_is_reported() -> None:
    image = ImageFile(noise(5, 5, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    lost = write_image(image, io.BytesIO(), format="BMP")
    assert lost == tuple(f"dropped {name}: not supported by BMP" for name in ("EXIF", "color profile", "XMP"))
    assert write_image(image, io.BytesIO(), format="WEBP") == ("dropped resolution (dpi): not supported by WEBP",)
    large = replace(image, exif=exif_block(thumbnail=bytes(70000)), xmp=XMP * 1000)
    stream = io.BytesIO()
    warnings = write_image(large, stream, format="JPEG")
    assert warnings == ("dropped EXIF: too large for JPEG", "dropped XMP: too large for JPEG")
    assert read_image(stream_at_start(stream)).icc_profile == PROFILE
    assert write_image(large, io.BytesIO(), format="PNG") == ()
