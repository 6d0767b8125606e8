"""Image files are written without loss, or with a warning."""

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.images import (
    MAKER_NOTE,
    PROFILE,
    XMP,
    decode_with_opencv,
    encode,
    exif_block,
    image_of,
    noise,
    rewound,
    samples_of,
)
from srblocks.inference.images import ImageFile, ImageFileError, check_size, read_image, write_image
from srblocks.inference.images.image import exif_of_size


@st.composite
def images(draw: st.DrawFn) -> ImageFile:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3, 4]))
    samples = np.random.default_rng(draw(st.integers(0, 9999))).integers(0, np.iinfo(dtype).max, shape, dtype, True)
    metadata = {
        "exif": draw(st.sampled_from([None, exif_of_size(exif_block(), *shape[:2])])),
        "xmp": draw(st.sampled_from([None, XMP])),
        "icc_profile": draw(st.sampled_from([None, PROFILE])),
        "dpi": draw(st.sampled_from([None, (300.0, 150.0)])),
    }
    return image_of(samples, **metadata)


@settings(max_examples=40, deadline=None)
@given(image=images())
def test_png_round_trip_keeps_everything(image: ImageFile) -> None:
    stream = io.BytesIO()
    assert write_image(image, stream, format="PNG") == ()
    found = read_image(rewound(stream))
    assert np.array_equal(samples_of(found), samples_of(image))
    for name in ("exif", "xmp", "icc_profile"):
        assert getattr(found, name) == getattr(image, name), name
    assert found.dpi == (None if image.dpi is None else pytest.approx(image.dpi, rel=1e-4))
    channels = samples_of(image).shape[2]
    decoded = decode_with_opencv(stream.getvalue())  # gray with alpha as RGBA
    expected = samples_of(image)[..., [0, 0, 0, 1]] if channels == 2 else samples_of(image)
    assert decoded.dtype == expected.dtype
    assert np.array_equal(decoded, expected)


@settings(max_examples=40, deadline=None)
@given(image=images())
def test_tiff_round_trip_keeps_everything(image: ImageFile) -> None:
    import tifffile

    stream = io.BytesIO()
    samples = samples_of(image)
    becomes_rgb = samples.shape[2] == 2 and samples.dtype == np.uint16
    assert write_image(image, stream, format="TIFF") == (("gray converted to RGB",) if becomes_rgb else ())
    expected = samples[..., [0, 0, 0, 1]] if becomes_rgb else samples
    if image.exif is None:  # Pillow applies the orientation of a TIFF file
        assert np.array_equal(samples_of(read_image(rewound(stream))), expected)
    with tifffile.TiffFile(rewound(stream)) as file:
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
        assert camera["MakerNote"] == MAKER_NOTE


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_written_files_can_be_read(image_format: str) -> None:
    for channels, dtype in itertools.product((1, 2, 3, 4), (np.uint8, np.uint16)):
        image = image_of(noise(12, 13, channels, dtype))
        found = read_image(io.BytesIO(encode(image, image_format)))
        assert found.pixels.shape[:2] == (12, 13)
        assert (found.alpha is None) is (image.alpha is None or image_format in ("JPEG", "BMP")), (channels, dtype)


def test_gray_profiles_are_dropped_from_rgb_files() -> None:
    profile = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    image = image_of(noise(12, 13, 2, np.uint16), icc_profile=profile)
    for image_format, kept in (("PNG", True), ("TIFF", False), ("WEBP", False)):
        stream = io.BytesIO()
        warnings = write_image(image, stream, format=image_format)
        assert (f"dropped color profile: not supported by {image_format}" in warnings) is not kept
        assert read_image(rewound(stream)).icc_profile == (profile if kept else None), image_format


def test_bmp_and_webp_are_lossless(tmp_path: Path) -> None:
    for channels, name in ((3, "a.bmp"), (1, "a.bmp"), (3, "a.webp"), (4, "a.webp")):
        samples = noise(21, 34, channels)
        write_image(image_of(samples), tmp_path / name)
        assert np.array_equal(decode_with_opencv((tmp_path / name).read_bytes()), samples), (channels, name)
        image = read_image(tmp_path / name)
        assert not image.lossy
        assert np.array_equal(samples_of(image), samples), (channels, name)


@pytest.mark.parametrize("kind", ["plain", "alpha", "profile"])
def test_webp_stays_lossless_or_lossy(kind: str) -> None:
    image = Image.fromarray(noise(16, 17, 4 if kind == "alpha" else 3))
    options = {"icc_profile": PROFILE + b"\0"} if kind == "profile" else {}
    for lossless in (True, False):
        stream = io.BytesIO()
        image.save(stream, "WEBP", lossless=lossless, **options)
        loaded = read_image(rewound(stream))
        assert loaded.lossy is not lossless
        again = read_image(io.BytesIO(encode(loaded, "WEBP")))
        assert np.array_equal(again.pixels, loaded.pixels) is lossless
    assert read_image(io.BytesIO(encode(replace(loaded, lossy=False), "WEBP", quality=80))).lossy


def test_jpeg_quality_and_chroma() -> None:
    y, x = np.mgrid[:64, :64]
    waves = np.dstack([np.sin(y / 5 + x / 9 + channel) for channel in range(3)])
    samples = (127.5 + 100 * waves).astype(np.uint8)
    content = encode(ImageFile(samples), "JPEG")
    assert np.abs(decode_with_opencv(content).astype(int) - samples).mean() < 1.5
    with Image.open(io.BytesIO(content)) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
        assert {table[0] for table in image.quantization.values()} == {2}  # of libjpeg at quality 95
    assert len(encode(ImageFile(samples), "JPEG", quality=50)) < len(content)


def test_16_bits_are_rounded_with_a_warning() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for image_format in ("JPEG", "WEBP", "BMP"):
        stream = io.BytesIO()
        warnings = write_image(ImageFile(values), stream, format=image_format)
        assert warnings == (f"16 bits rounded to 8 for {image_format}",)
    assert np.array_equal(read_image(rewound(stream)).pixels, np.rint(values / 257).astype(np.uint8))


def test_unsupported_transparency_is_replaced_by_white() -> None:
    for channels in (2, 4):
        samples, stream = noise(9, 9, channels), io.BytesIO()
        warnings = write_image(image_of(samples), stream, format="BMP")
        assert warnings == ("transparency replaced by white: not supported by BMP",)
        alpha = samples[..., -1:] / 255
        expected = samples[..., :-1] * alpha + 255 * (1 - alpha)
        assert np.abs(read_image(rewound(stream)).pixels - expected).max() <= 0.51, channels


def test_images_too_large_for_their_format() -> None:
    for image_format, side in (("JPEG", 65501), ("WEBP", 16384)):
        with pytest.raises(
            ImageFileError, match=f"{image_format} supports sides of up to {side - 1} pixels, got {side}x1"
        ):
            write_image(ImageFile(np.zeros((1, side, 3), np.uint8)), io.BytesIO(), format=image_format)
        check_size(image_format, 1, side - 1)
        assert encode(ImageFile(np.zeros((1, side - 1, 3), np.uint8)), image_format)
    with pytest.raises(ImageFileError, match="cannot write GIF files; use PNG, JPEG, WEBP, TIFF, BMP"):
        write_image(ImageFile(noise(2, 2, 3)), io.BytesIO(), format="GIF")
