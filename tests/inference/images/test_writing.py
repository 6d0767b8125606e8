"""Writing image files: lossless, or with a warning."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.images import (
    PROFILE,
    XMP,
    exif_block,
    image_of,
    noise,
    samples_of,
    seen_by_opencv,
    stream_at_start,
    written,
)
from srblocks.inference.images import ImageFile, ImageFileError, check_size, read_image, write_image
from srblocks.inference.images.image import exif_of_size


@st.composite
def images(draw: st.DrawFn) -> ImageFile:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3, 4]))
    samples = np.random.default_rng(draw(st.integers(0, 9999))).integers(0, np.iinfo(dtype).max, shape, dtype, True)
    facts = {
        "exif": draw(st.sampled_from([None, exif_of_size(exif_block(), *shape[:2])])),
        "xmp": draw(st.sampled_from([None, XMP])),
        "icc_profile": draw(st.sampled_from([None, PROFILE])),
        "dpi": draw(st.sampled_from([None, (300.0, 150.0)])),
    }
    return image_of(samples, **facts)


@settings(max_examples=60, deadline=None)
@given(image=images())
def test_a_png_holds_everything(image: ImageFile) -> None:
    stream = io.BytesIO()
    assert write_image(image, stream, format="PNG") == ()
    found = read_image(stream_at_start(stream))
    assert np.array_equal(samples_of(found), samples_of(image))
    for name in ("exif", "xmp", "icc_profile"):
        assert getattr(found, name) == getattr(image, name), name
    assert found.dpi == (None if image.dpi is None else pytest.approx(image.dpi, rel=1e-4))
    channels = samples_of(image).shape[2]
    seen = seen_by_opencv(stream.getvalue())  # which makes four channels of gray with alpha
    expected = samples_of(image)[..., [0, 0, 0, 1]] if channels == 2 else samples_of(image)
    assert seen.dtype == expected.dtype
    assert np.array_equal(seen, expected)


@settings(max_examples=60, deadline=None)
@given(image=images())
def test_a_tiff_holds_everything(image: ImageFile) -> None:
    stream = io.BytesIO()
    samples = samples_of(image)
    becomes_rgb = samples.shape[2] == 2 and samples.dtype == np.uint16
    assert write_image(image, stream, format="TIFF") == (("gray converted to RGB",) if becomes_rgb else ())
    expected = samples[..., [0, 0, 0, 1]] if becomes_rgb else samples
    if image.exif is None:  # Pillow turns a TIFF file upright
        assert np.array_equal(samples_of(read_image(stream_at_start(stream))), expected)
    with tifffile.TiffFile(stream_at_start(stream)) as file:
        page = file.pages.first
        assert np.array_equal(page.asarray().reshape(expected.shape), expected)
        assert page.extrasamples == (() if image.alpha is None else (2,))
        tags = {tag.code: tag.value for tag in page.tags}
    assert tags.get(34675) == image.icc_profile
    assert tags.get(700) == image.xmp
    if image.dpi:
        assert (tags[282], tags[283], tags[296]) == ((300, 1), (150, 1), 2)
    if image.exif:
        height, width = image.pixels.shape[:2]
        camera = tags[34665]
        assert (tags[271], tags[274]) == ("Camera", 6)
        assert (camera["PixelXDimension"], camera["PixelYDimension"]) == (width, height)
        assert camera["MakerNote"] == b"maker's note, in a format of its own"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_written_files_can_be_read(form: str, channels: int, dtype: type) -> None:
    image = image_of(noise(12, 13, channels, dtype))
    found = read_image(io.BytesIO(written(image, form)))
    assert found.pixels.shape[:2] == (12, 13)
    assert (found.alpha is None) is (image.alpha is None or form in ("JPEG", "BMP"))


@pytest.mark.parametrize("form,kept", [("PNG", True), ("TIFF", False), ("WEBP", False)])
def test_a_profile_of_gray_is_not_given_to_colors(form: str, kept: bool) -> None:
    profile = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    image = image_of(noise(12, 13, 2, np.uint16), icc_profile=profile)
    stream = io.BytesIO()
    warnings = write_image(image, stream, format=form)
    assert (f"dropped color profile: not supported by {form}" in warnings) is not kept
    assert read_image(stream_at_start(stream)).icc_profile == (profile if kept else None)


@pytest.mark.parametrize("channels,suffix", [(3, ".bmp"), (1, ".bmp"), (3, ".webp"), (4, ".webp")])
def test_lossless_stays_lossless(channels: int, suffix: str, tmp_path: Path) -> None:
    samples = noise(21, 34, channels)
    write_image(image_of(samples), tmp_path / f"a{suffix}")
    assert np.array_equal(seen_by_opencv((tmp_path / f"a{suffix}").read_bytes()), samples)
    image = read_image(tmp_path / f"a{suffix}")
    assert not image.lossy
    assert np.array_equal(samples_of(image), samples)


@pytest.mark.parametrize("kind", ["plain", "alpha", "profile"])
def test_lossless_and_lossy_webp_are_distinguished(kind: str) -> None:
    image = Image.fromarray(noise(16, 17, 4 if kind == "alpha" else 3))
    options = {"icc_profile": PROFILE + bytes(kind == "profile")} if kind == "profile" else {}
    for lossless in (True, False):
        stream = io.BytesIO()
        image.save(stream, "WEBP", lossless=lossless, **options)
        loaded = read_image(stream_at_start(stream))
        assert loaded.lossy is not lossless
        again = read_image(io.BytesIO(written(loaded, "WEBP")))
        assert np.array_equal(again.pixels, loaded.pixels) is lossless
    assert read_image(io.BytesIO(written(replace(loaded, lossy=False), "WEBP", quality=80))).lossy


def test_jpeg_quality_and_chroma() -> None:
    y, x = np.mgrid[:64, :64]
    waves = np.dstack([np.sin(y / 5 + x / 9 + channel) for channel in range(3)])
    samples = (127.5 + 100 * waves).astype(np.uint8)
    content = written(ImageFile(samples), "JPEG")
    assert np.abs(seen_by_opencv(content).astype(int) - samples).mean() < 1.5
    with Image.open(io.BytesIO(content)) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
        assert {table[0] for table in image.quantization.values()} == {2}  # libjpeg's at quality 95
    assert len(written(ImageFile(samples), "JPEG", quality=50)) < len(content)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP"])
def test_unsupported_bit_depth_is_rounded_with_a_warning(form: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    stream = io.BytesIO()
    warnings = write_image(ImageFile(values), stream, format=form)
    assert warnings == (f"16 bits rounded to 8 for {form}",)
    if form == "BMP":
        found = read_image(stream_at_start(stream)).pixels
        assert np.array_equal(found, np.rint(values / 257).astype(np.uint8))


@pytest.mark.parametrize("channels", [2, 4])
def test_unsupported_transparency_is_replaced_by_white(channels: int) -> None:
    samples = noise(9, 9, channels)
    stream = io.BytesIO()
    warnings = write_image(image_of(samples), stream, format="BMP")
    assert warnings == ("transparency replaced by white: not supported by BMP",)
    opacity = samples[..., -1:] / 255
    expected = samples[..., :-1] * opacity + 255 * (1 - opacity)
    assert np.abs(read_image(stream_at_start(stream)).pixels - expected).max() <= 0.51


def test_oversized_images_are_rejected() -> None:
    for form, side in (("JPEG", 65501), ("WEBP", 16384)):
        with pytest.raises(ImageFileError, match=f"{form} supports sides of up to {side - 1} pixels, got {side}x1"):
            write_image(ImageFile(np.zeros((1, side, 3), np.uint8)), io.BytesIO(), format=form)
        check_size(form, 1, side - 1)
        assert written(ImageFile(np.zeros((1, side - 1, 3), np.uint8)), form)
    with pytest.raises(ImageFileError, match="cannot write GIF files; use PNG, JPEG, WEBP, TIFF, BMP"):
        write_image(ImageFile(noise(2, 2, 3)), io.BytesIO(), format="GIF")
