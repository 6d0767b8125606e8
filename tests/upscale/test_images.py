"""Pictures in files: nothing is lost on the way, and other implementations agree on what the files hold."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from srblocks.upscale.images import Picture, PictureError, check_size, read_picture, write_picture
from srblocks.upscale.images.metadata import exif_of_size

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf>five stars \xc3\xa9</rdf></x:xmpmeta>"
SAMPLES = np.random.default_rng(0)


def noise(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    return SAMPLES.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def swapped(samples: np.ndarray) -> np.ndarray:
    """OpenCV's order of channels."""
    return samples if samples.shape[2] == 1 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]


def by_opencv(samples: np.ndarray, suffix: str) -> io.BytesIO:
    return io.BytesIO(cv2.imencode(suffix, swapped(samples))[1].tobytes())


def seen_by_opencv(content: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return swapped(found.reshape(*found.shape[:2], -1))


def written(picture: Picture, form: str, quality: int | None = None) -> bytes:
    stream = io.BytesIO()
    write_picture(picture, stream, format=form, quality=quality)
    return stream.getvalue()


def samples_of(picture: Picture) -> np.ndarray:
    return picture.pixels if picture.alpha is None else np.concatenate((picture.pixels, picture.alpha), 2)


def picture_of(samples: np.ndarray, **facts: object) -> Picture:
    if samples.shape[2] % 2:
        return Picture(samples, **facts)
    return Picture(samples[..., :-1], samples[..., -1:], **facts)


def exif_block(order: str = "<", *, side_kind: str = "H", thumbnail: bytes = b"\xff\xd8thumbnail\xff\xd9") -> bytes:
    """A camera's block: orientation 6, a maker's note, the size 30 x 20, rules, and a thumbnail."""
    name, note = b"Camera\0\0", b"maker's note, in a format of its own"
    ifd0, camera = 8, 8 + 2 + 3 * 12 + 4
    notes = camera + 2 + 4 * 12 + 4
    rules = notes + len(name) + len(note)
    ifd1 = rules + 2 + 12 + 4
    kind = {"H": 3, "I": 4}[side_kind]

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")

    def number(value: int, form: str = "I") -> bytes:
        return struct.pack(order + form, value)

    block = (b"II*\0" if order == "<" else b"MM\0*") + number(ifd0)
    block += number(3, "H") + entry(0x010F, 2, 7, number(notes)) + entry(0x0112, 3, 1, number(6, "H"))
    block += entry(0x8769, 4, 1, number(camera)) + number(ifd1)
    block += number(4, "H") + entry(0x927C, 7, len(note), number(notes + len(name)))
    block += entry(0xA002, kind, 1, number(30, side_kind)) + entry(0xA003, kind, 1, number(20, side_kind))
    block += entry(0xA005, 4, 1, number(rules)) + number(0) + name + note
    block += number(1, "H") + entry(1, 2, 4, b"R98\0") + number(0)
    block += number(2, "H") + entry(0x0201, 4, 1, number(ifd1 + 30)) + entry(0x0202, 4, 1, number(len(thumbnail)))
    return block + number(0) + thumbnail


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_files_of_opencv_are_read_in_full_depth(suffix: str, channels: int, dtype: type) -> None:
    samples = noise(13, 17, channels, dtype)
    picture = read_picture(by_opencv(samples, suffix))
    assert picture.pixels.dtype == dtype
    assert np.array_equal(samples_of(picture), samples)
    assert (picture.remarks, picture.lossy) == ((), False)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"compression": "zlib"}, {"rowsperstrip": 3}], ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_tiffs_of_both_byte_orders_are_read(channels: int, order: str, options: dict) -> None:
    samples, stream = noise(33, 45, channels, np.uint16), io.BytesIO()
    kind = {1: {"photometric": "minisblack"}, 3: {"photometric": "rgb"}}
    kind[4] = kind[3] | {"extrasamples": ["unassalpha"]}
    tifffile.imwrite(stream, samples.squeeze(), byteorder=order, **kind[channels], **options)
    stream.seek(0)
    assert np.array_equal(samples_of(read_picture(stream)), samples)


def test_premultiplied_colours_are_divided_by_their_opacity() -> None:
    color, alpha = noise(9, 11, 3, np.uint16), np.full((9, 11, 1), 40000, np.uint16)
    multiplied = np.rint(color.astype(float) * alpha / 65535).astype(np.uint16)
    stream = io.BytesIO()
    premultiplied = np.concatenate((multiplied, alpha), 2)
    tifffile.imwrite(stream, premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    stream.seek(0)
    picture = read_picture(stream)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, alpha)
    assert np.abs(picture.pixels.astype(int) - color).max() <= 1


def test_white_is_zero_is_inverted() -> None:
    samples, stream = noise(6, 7, 1, np.uint16), io.BytesIO()
    tifffile.imwrite(stream, samples[..., 0], photometric="miniswhite")
    stream.seek(0)
    assert np.array_equal(read_picture(stream).pixels, 65535 - samples)


def png(kind: int, depth: int, size: tuple[int, int], rows: bytes, *chunks: tuple[bytes, bytes], interlace: int = 0):
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", size[1], size[0], depth, kind, 0, 0, interlace)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize("channels,kind", [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_interlaced_deep_pngs_are_read(channels: int, kind: int) -> None:
    samples = noise(11, 13, channels, np.uint16)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[top::down, left::right].astype(">u2") for top, left, down, right in passes]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    assert np.array_equal(samples_of(read_picture(png(kind, 16, (11, 13), rows, interlace=1))), samples)


@pytest.mark.parametrize("depth,key", [(2, 2), (4, 7), (8, 77), (16, 7777)])
def test_one_transparent_grey_becomes_alpha(depth: int, key: int) -> None:
    white = 2**depth - 1
    values = np.array([[0, key, white, key, 1, key, 0, white]])
    packed = np.packbits((values[..., None] >> np.arange(depth)[::-1]) & 1).tobytes()
    picture = read_picture(png(0, depth, (1, 8), b"\0" + packed, (b"tRNS", struct.pack(">H", key))))
    full = 65535 if depth == 16 else 255
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha[..., 0], np.where(values == key, 0, full))
    assert np.array_equal(picture.pixels[..., 0], values * (full // white))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_transparent_colour_becomes_alpha(dtype: type) -> None:
    samples = noise(3, 4, 3, dtype)
    samples[1, 2] = samples[2, 0] = [3, 4, 5]
    rows = b"".join(b"\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for row in samples)
    depth = 8 * samples.itemsize
    picture = read_picture(png(2, depth, (3, 4), rows, (b"tRNS", struct.pack(">3H", 3, 4, 5))))
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha[..., 0] == 0).tolist() == [[1, 2], [2, 0]]
    assert np.array_equal(picture.pixels, samples)


def test_palettes_become_colours_with_their_opacity() -> None:
    colors = noise(1, 5, 3)[0]
    indices = SAMPLES.integers(0, 5, (6, 7), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    opaque = png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()))
    assert np.array_equal(read_picture(opaque).pixels, colors[indices])
    assert read_picture(opaque := io.BytesIO(opaque.getvalue())).alpha is None
    opacity = np.array([0, 90, 255, 255, 255], np.uint8)
    picture = read_picture(png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()), (b"tRNS", opacity[:2].tobytes())))
    assert np.array_equal(samples_of(picture), np.concatenate((colors[indices], opacity[indices][..., None]), 2))


def test_one_bit_becomes_grey() -> None:
    stream, bits = io.BytesIO(), SAMPLES.integers(0, 2, (5, 9)).astype(bool)
    Image.fromarray(bits).save(stream, "PNG")
    assert np.array_equal(read_picture(stream_at_start(stream)).pixels[..., 0], bits * 255)


def stream_at_start(stream: io.BytesIO) -> io.BytesIO:
    stream.seek(0)
    return stream


def test_cmyk_becomes_srgb_without_its_profile() -> None:
    image = Image.fromarray(np.full((8, 8, 3), [200, 60, 30], np.uint8)).convert("CMYK")
    stream = io.BytesIO()
    image.save(stream, "TIFF", icc_profile=b"no profile that can be used")
    picture = read_picture(stream_at_start(stream))
    assert picture.pixels[4, 4].tolist() == [200, 60, 30]
    assert (picture.icc_profile, picture.remarks) == (None, ("CMYK became sRGB",))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3, 4]))
    samples = np.random.default_rng(draw(st.integers(0, 9999))).integers(0, np.iinfo(dtype).max, shape, dtype, True)
    facts = {
        "exif": draw(st.sampled_from([None, exif_of_size(exif_block(), *shape[:2])])),
        "xmp": draw(st.sampled_from([None, XMP])),
        "icc_profile": draw(st.sampled_from([None, PROFILE])),
        "dpi": draw(st.sampled_from([None, (300.0, 150.0)])),
    }
    return picture_of(samples, **facts)


@settings(max_examples=60, deadline=None)
@given(picture=pictures())
def test_a_png_holds_everything(picture: Picture) -> None:
    stream = io.BytesIO()
    assert write_picture(picture, stream, format="PNG") == ()
    found = read_picture(stream_at_start(stream))
    assert np.array_equal(samples_of(found), samples_of(picture))
    for name in ("exif", "xmp", "icc_profile"):
        assert getattr(found, name) == getattr(picture, name), name
    assert found.dpi == (None if picture.dpi is None else pytest.approx(picture.dpi, rel=1e-4))
    channels = samples_of(picture).shape[2]
    seen = seen_by_opencv(stream.getvalue())  # which makes four channels of grey with alpha
    expected = samples_of(picture)[..., [0, 0, 0, 1]] if channels == 2 else samples_of(picture)
    assert seen.dtype == expected.dtype
    assert np.array_equal(seen, expected)


@settings(max_examples=60, deadline=None)
@given(picture=pictures())
def test_a_tiff_holds_everything(picture: Picture) -> None:
    stream = io.BytesIO()
    samples = samples_of(picture)
    becomes_rgb = samples.shape[2] == 2 and samples.dtype == np.uint16
    assert write_picture(picture, stream, format="TIFF") == (("grey became RGB",) if becomes_rgb else ())
    expected = samples[..., [0, 0, 0, 1]] if becomes_rgb else samples
    if picture.exif is None:  # Pillow turns a TIFF file upright
        assert np.array_equal(samples_of(read_picture(stream_at_start(stream))), expected)
    with tifffile.TiffFile(stream_at_start(stream)) as file:
        page = file.pages.first
        assert np.array_equal(page.asarray().reshape(expected.shape), expected)
        assert page.extrasamples == (() if picture.alpha is None else (2,))
        tags = {tag.code: tag.value for tag in page.tags}
    assert tags.get(34675) == picture.icc_profile
    assert tags.get(700) == picture.xmp
    if picture.dpi:
        assert (tags[282], tags[283], tags[296]) == ((300, 1), (150, 1), 2)
    if picture.exif:
        height, width = picture.pixels.shape[:2]
        camera = tags[34665]
        assert (tags[271], tags[274]) == ("Camera", 6)
        assert (camera["PixelXDimension"], camera["PixelYDimension"]) == (width, height)
        assert camera["MakerNote"] == b"maker's note, in a format of its own"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_whatever_is_written_can_be_read(form: str, channels: int, dtype: type) -> None:
    picture = picture_of(noise(12, 13, channels, dtype))
    found = read_picture(io.BytesIO(written(picture, form)))
    assert found.pixels.shape[:2] == (12, 13)
    assert (found.alpha is None) is (picture.alpha is None or form in ("JPEG", "BMP"))


@pytest.mark.parametrize("form,kept", [("PNG", True), ("TIFF", False), ("WEBP", False)])
def test_a_profile_of_grey_is_not_given_to_colours(form: str, kept: bool) -> None:
    profile = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    picture = picture_of(noise(12, 13, 2, np.uint16), icc_profile=profile)
    stream = io.BytesIO()
    remarks = write_picture(picture, stream, format=form)
    assert (f"colour profile left out: {form} cannot hold it" in remarks) is not kept
    assert read_picture(stream_at_start(stream)).icc_profile == (profile if kept else None)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_metadata_is_kept_to_the_byte(form: str, channels: int) -> None:
    exif = exif_of_size(exif_block(), 20, 30)
    picture = Picture(noise(20, 30, channels), exif=exif, xmp=XMP, icc_profile=PROFILE)
    found = read_picture(io.BytesIO(written(picture, form)))
    assert (found.exif, found.xmp, found.icc_profile) == (exif, XMP, PROFILE)
    again = read_picture(io.BytesIO(written(found, form)))
    assert (again.exif, again.xmp, again.icc_profile) == (exif, XMP, PROFILE)
    assert found.pixels.shape[2] == (3 if form == "WEBP" else channels)


@pytest.mark.parametrize("first,second", [("JPEG", "TIFF"), ("TIFF", "JPEG"), ("TIFF", "TIFF"), ("PNG", "TIFF")])
def test_the_tags_survive_a_tiff(first: str, second: str) -> None:
    picture = Picture(noise(20, 30, 3), exif=exif_block(), dpi=(300.0, 300.0), icc_profile=PROFILE, xmp=XMP)
    found = read_picture(io.BytesIO(written(picture, first)))
    found = read_picture(io.BytesIO(written(found, second)))
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
def test_a_picture_is_never_turned_twice(orientation: int, tmp_path: Path) -> None:
    exif, image = Image.Exif(), Image.fromarray(noise(4, 6, 3))
    exif[0x0112] = orientation
    for suffix in (".png", ".tif", ".jpg"):
        image.save(tmp_path / f"given{suffix}", exif=exif)
        with Image.open(tmp_path / f"given{suffix}") as given:
            expected = np.asarray(ImageOps.exif_transpose(given))
        for target in (".png", ".tif"):
            write_picture(read_picture(tmp_path / f"given{suffix}"), tmp_path / f"new{target}")
            with Image.open(tmp_path / f"new{target}") as new:
                assert np.array_equal(np.asarray(ImageOps.exif_transpose(new)), expected), (suffix, target)
    assert np.array_equal(read_picture(tmp_path / "given.png").pixels, np.asarray(image))


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


@pytest.mark.parametrize("channels,suffix", [(3, ".bmp"), (1, ".bmp"), (3, ".webp"), (4, ".webp")])
def test_what_was_lossless_stays_so(channels: int, suffix: str, tmp_path: Path) -> None:
    samples = noise(21, 34, channels)
    write_picture(picture_of(samples), tmp_path / f"a{suffix}")
    assert np.array_equal(seen_by_opencv((tmp_path / f"a{suffix}").read_bytes()), samples)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert not picture.lossy
    assert np.array_equal(samples_of(picture), samples)


@pytest.mark.parametrize("kind", ["plain", "alpha", "profile"])
def test_webp_files_with_and_without_losses_are_told_apart(kind: str) -> None:
    image = Image.fromarray(noise(16, 17, 4 if kind == "alpha" else 3))
    options = {"icc_profile": PROFILE + bytes(kind == "profile")} if kind == "profile" else {}
    for lossless in (True, False):
        stream = io.BytesIO()
        image.save(stream, "WEBP", lossless=lossless, **options)
        picture = read_picture(stream_at_start(stream))
        assert picture.lossy is not lossless
        again = read_picture(io.BytesIO(written(picture, "WEBP")))
        assert np.array_equal(again.pixels, picture.pixels) is lossless
    assert read_picture(io.BytesIO(written(replace(picture, lossy=False), "WEBP", quality=80))).lossy


def test_jpegs_are_fine_and_in_full_colour() -> None:
    y, x = np.mgrid[:64, :64]
    waves = np.dstack([np.sin(y / 5 + x / 9 + channel) for channel in range(3)])
    samples = (127.5 + 100 * waves).astype(np.uint8)
    content = written(Picture(samples), "JPEG")
    assert np.abs(seen_by_opencv(content).astype(int) - samples).mean() < 1.5
    with Image.open(io.BytesIO(content)) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
        assert {table[0] for table in image.quantization.values()} == {2}  # libjpeg's at quality 95
    assert len(written(Picture(samples), "JPEG", quality=50)) < len(content)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP"])
def test_depth_that_a_format_lacks_is_rounded_and_said(form: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    stream = io.BytesIO()
    remarks = write_picture(Picture(values), stream, format=form)
    assert remarks == (f"16 bits rounded to the 8 of {form}",)
    if form == "BMP":
        found = read_picture(stream_at_start(stream)).pixels
        assert np.array_equal(found, np.rint(values / 257).astype(np.uint8))


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_that_a_format_lacks_is_laid_on_white(channels: int) -> None:
    samples = noise(9, 9, channels)
    stream = io.BytesIO()
    remarks = write_picture(picture_of(samples), stream, format="BMP")
    assert remarks == ("transparency laid on white: BMP has none",)
    opacity = samples[..., -1:] / 255
    expected = samples[..., :-1] * opacity + 255 * (1 - opacity)
    assert np.abs(read_picture(stream_at_start(stream)).pixels - expected).max() <= 0.51


def test_metadata_that_a_format_lacks_are_named() -> None:
    picture = Picture(noise(5, 5, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    lost = write_picture(picture, io.BytesIO(), format="BMP")
    assert [remark.partition(" left out")[0] for remark in lost] == ["EXIF", "colour profile", "XMP"]
    assert write_picture(picture, io.BytesIO(), format="WEBP") == ("resolution (dpi) left out: WEBP cannot hold it",)
    large = replace(picture, exif=exif_block(thumbnail=bytes(70000)), xmp=XMP * 1000)
    stream = io.BytesIO()
    remarks = write_picture(large, stream, format="JPEG")
    assert remarks == ("EXIF left out: JPEG cannot hold it", "XMP left out: JPEG cannot hold it")
    assert read_picture(stream_at_start(stream)).icc_profile == PROFILE
    assert write_picture(large, io.BytesIO(), format="PNG") == ()


def test_what_reading_leaves_out_is_named(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(6, 6, 3)) for _ in range(3)]
    for name in ("a.webp", "a.png", "a.tif"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "w" in name else {})
        )
        picture = read_picture(tmp_path / name)
        assert picture.remarks == ("only the first of 3 pictures in the file",), name
        assert np.array_equal(picture.pixels, np.asarray(frames[0])), name
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a title")
    texts.add(b"gAMA", struct.pack(">I", 100000))
    frames[0].save(tmp_path / "text.png", pnginfo=texts)
    assert read_picture(tmp_path / "text.png").remarks == ("text left out: Title", "gamma left out: 1.0")
    frames[0].save(tmp_path / "comment.jpg", comment=b"a comment")
    assert read_picture(tmp_path / "comment.jpg").remarks == ("text left out: comment",)


def test_phones_files_of_several_pictures_are_jpegs(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(16, 16, 3)) for _ in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.jpg")
    assert (picture.format, picture.lossy, len(picture.remarks)) == ("JPEG", True, 1)


@pytest.mark.parametrize(
    "kind,message",
    [
        ("float", "pixels of the kind F;32F; convert the image to 8 or 16 bits per channel"),
        ("signed", "pixels of the kind I;16S"),
        ("signed bytes", "signed pixels; convert the image to 8 or 16 bits per channel without sign"),
        ("32 bits", "pixels of the kind I;32"),
        ("planes", "16-bit channels in planes of their own"),
        ("gif", "no PNG, JPEG, WebP, TIFF or BMP"),
        ("text", "no PNG, JPEG, WebP, TIFF or BMP"),
        ("empty", "no PNG, JPEG, WebP, TIFF or BMP"),
        ("postscript", "no PNG, JPEG, WebP, TIFF or BMP"),
    ],
)
def test_other_kinds_are_refused(kind: str, message: str) -> None:
    stream = io.BytesIO()
    deep = noise(3, 8, 9, np.uint16)
    kinds = {
        "float": lambda: tifffile.imwrite(stream, deep[..., 0].astype(np.float32)),
        "signed": lambda: tifffile.imwrite(stream, deep[..., 0].astype(np.int16)),
        "signed bytes": lambda: tifffile.imwrite(stream, deep[..., 0].astype(np.int8)),
        "32 bits": lambda: tifffile.imwrite(stream, deep[..., 0].astype(np.int32)),
        "planes": lambda: tifffile.imwrite(stream, deep, photometric="rgb", planarconfig="separate"),
        "gif": lambda: Image.new("L", (4, 4)).save(stream, "GIF"),
        "text": lambda: stream.write(b"<html>not found</html>"),
        "empty": lambda: None,
        "postscript": lambda: stream.write(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    }
    kinds[kind]()
    with pytest.raises(PictureError, match=message):
        read_picture(stream_at_start(stream))


def whole_files() -> Iterator[tuple[str, bytes]]:
    picture = Picture(noise(24, 24, 3), exif=exif_block(), xmp=XMP, icc_profile=PROFILE, dpi=(72.0, 72.0))
    deep = picture_of(noise(24, 24, 4, np.uint16), exif=exif_block(), icc_profile=PROFILE)
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        yield form, written(picture, form)
    for form in ("PNG", "TIFF"):
        yield f"deep {form}", written(deep, form)


FILES = dict(whole_files())


@pytest.mark.parametrize("form", FILES)
def test_truncated_files_are_named_as_such(form: str) -> None:
    whole = FILES[form]
    cut = whole[: len(whole) * 2 // 3]
    with pytest.raises(PictureError, match="damaged or truncated"):
        read_picture(io.BytesIO(cut))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(form=st.sampled_from(sorted(FILES)), data=st.data())
def test_damage_raises_nothing_else(form: str, data: st.DataObject) -> None:
    content = bytearray(FILES[form])
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, min(len(content), 700) - 1) | st.integers(0, len(content) - 1))
        content[where] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    try:
        picture = read_picture(io.BytesIO(bytes(content)))
    except PictureError:
        return
    if picture.pixels.size < 10**6:
        for target in ("PNG", "JPEG", "TIFF"):
            write_picture(picture, io.BytesIO(), format=target)


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 // 2 - 1)
    for content in FILES.values():
        with pytest.raises(PictureError, match="exceeds limit of 574 pixels"):
            read_picture(io.BytesIO(content))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 24 - 1)
    assert read_picture(io.BytesIO(FILES["PNG"])).pixels.shape == (24, 24, 3)


def test_sides_that_a_format_cannot_hold_are_refused() -> None:
    for form, side in (("JPEG", 65501), ("WEBP", 16384)):
        with pytest.raises(PictureError, match=f"{form} holds sides of up to {side - 1} pixels, not {side}x1"):
            write_picture(Picture(np.zeros((1, side, 3), np.uint8)), io.BytesIO(), format=form)
        check_size(form, 1, side - 1)
        assert written(Picture(np.zeros((1, side - 1, 3), np.uint8)), form)
    with pytest.raises(PictureError, match="GIF files are not written; use PNG, JPEG, WEBP, TIFF, BMP"):
        write_picture(Picture(noise(2, 2, 3)), io.BytesIO(), format="GIF")


def test_a_missing_file_or_a_folder_is_the_system_s_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(OSError):
            read_picture(path)
