"""Image metadata is kept, or dropped with a warning."""

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from helpers.images import MAKER_NOTE, PROFILE, XMP, encode, exif_block, noise, rewound
from srblocks.inference.images import ImageFile, read_image, write_image
from srblocks.inference.images.image import exif_of_size


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_metadata_is_kept_exactly(image_format: str) -> None:
    exif = exif_of_size(exif_block(), 20, 30)
    for channels in (1, 3):
        image = ImageFile(noise(20, 30, channels), exif=exif, xmp=XMP, icc_profile=PROFILE)
        found = read_image(io.BytesIO(encode(image, image_format)))
        assert (found.exif, found.xmp, found.icc_profile) == (exif, XMP, PROFILE)
        again = read_image(io.BytesIO(encode(found, image_format)))
        assert (again.exif, again.xmp, again.icc_profile) == (exif, XMP, PROFILE)
        assert found.pixels.shape[2] == (3 if image_format == "WEBP" else channels)


@pytest.mark.parametrize("first,second", [("JPEG", "TIFF"), ("TIFF", "JPEG"), ("TIFF", "TIFF"), ("PNG", "TIFF")])
def test_tags_survive_conversion_to_and_from_tiff(first: str, second: str) -> None:
    image = ImageFile(noise(20, 30, 3), exif=exif_block(), dpi=(300.0, 300.0), icc_profile=PROFILE, xmp=XMP)
    found = read_image(io.BytesIO(encode(image, first)))
    found = read_image(io.BytesIO(encode(found, second)))
    assert found.exif is not None
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + found.exif)
    assert exif[0x010F] == "Camera"
    assert exif.get_ifd(0x8769)[0x927C] == MAKER_NOTE
    assert exif.get_ifd(0xA005) == {1: "R98"}
    assert (found.xmp, found.icc_profile, found.dpi) == (XMP, PROFILE, pytest.approx((300, 300), rel=1e-4))
    if second == "JPEG":
        assert {256, 257, 258, 259, 273, 277, 278, 279} & {*exif} == set()


def test_orientation_is_applied_once(tmp_path: Path) -> None:
    exif, image = Image.Exif(), Image.fromarray(noise(4, 6, 3))
    for orientation, suffix in itertools.product(range(1, 9), (".png", ".tif", ".jpg")):
        source = tmp_path / f"source{suffix}"
        exif[0x0112] = orientation
        image.save(source, exif=exif)
        with Image.open(source) as upright:
            expected = np.asarray(ImageOps.exif_transpose(upright))
        for target in (".png", ".tif"):
            write_image(read_image(source), tmp_path / f"target{target}")
            with Image.open(tmp_path / f"target{target}") as found:
                upright = ImageOps.exif_transpose(found)
                assert np.array_equal(np.asarray(upright), expected), (orientation, suffix, target)
        assert suffix != ".png" or np.array_equal(read_image(source).pixels, np.asarray(image))


def test_resizing_an_exif_block_changes_only_its_size() -> None:
    for byte_order, side_type, (height, width) in itertools.product("<>", "HI", [(40, 60), (65535, 70000)]):
        before = exif_block(byte_order, side_type=side_type)
        after = exif_of_size(before, height, width)
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + after)
        camera = exif.get_ifd(0x8769)
        assert (camera[0xA002], camera[0xA003], exif[0x0112]) == (width, height, 6), (byte_order, side_type)
        assert camera[0x927C] == MAKER_NOTE
        changed = [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
        start = 8 + 2 + 36 + 4 + 2 + 12
        assert all(start <= index < start + 24 for index in changed), (byte_order, side_type)
        assert exif_of_size(before, 20, 30) == before
        assert exif_of_size(after, 20, 30) == before or width > 65535, (byte_order, side_type)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200), st.binary(max_size=8))
def test_damaged_exif_blocks_keep_their_length(block: bytes, cut: int, patch: bytes) -> None:
    damaged = exif_block()[:cut] + patch + exif_block()[cut + len(patch) :]
    for each in (block, exif_block()[:cut], damaged):
        assert len(exif_of_size(each, 5, 6)) == len(each)


def test_dropped_metadata_is_reported() -> None:
    image = ImageFile(noise(5, 5, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    dropped = write_image(image, io.BytesIO(), format="BMP")
    assert dropped == tuple(f"dropped {name}: not supported by BMP" for name in ("EXIF", "color profile", "XMP"))
    assert write_image(image, io.BytesIO(), format="WEBP") == ("dropped resolution (dpi): not supported by WEBP",)
    large = replace(image, exif=exif_block(thumbnail=bytes(70000)), xmp=XMP * 1000)
    stream = io.BytesIO()
    warnings = write_image(large, stream, format="JPEG")
    assert warnings == ("dropped EXIF: too large for JPEG", "dropped XMP: too large for JPEG")
    assert read_image(rewound(stream)).icc_profile == PROFILE
    assert write_image(large, io.BytesIO(), format="PNG") == ()
