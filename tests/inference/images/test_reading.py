"""Reading image files, compared with other libraries."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from helpers.images import SAMPLES, noise, samples_of, stream_at_start, swapped
from srblocks.inference.images import ImageFileError, read_image


def by_opencv(samples: np.ndarray, suffix: str) -> io.BytesIO:
    return io.BytesIO(cv2.imencode(suffix, swapped(samples))[1].tobytes())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_files_of_opencv_are_read_in_full_depth(suffix: str, channels: int, dtype: type) -> None:
    samples = noise(13, 17, channels, dtype)
    image = read_image(by_opencv(samples, suffix))
    assert image.pixels.dtype == dtype
    assert np.array_equal(samples_of(image), samples)
    assert (image.warnings, image.lossy) == ((), False)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"compression": "zlib"}, {"rowsperstrip": 3}], ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_tiffs_of_both_byte_orders_are_read(channels: int, order: str, options: dict) -> None:
    samples, stream = noise(33, 45, channels, np.uint16), io.BytesIO()
    kind = {1: {"photometric": "minisblack"}, 3: {"photometric": "rgb"}}
    kind[4] = kind[3] | {"extrasamples": ["unassalpha"]}
    tifffile.imwrite(stream, samples.squeeze(), byteorder=order, **kind[channels], **options)
    stream.seek(0)
    assert np.array_equal(samples_of(read_image(stream)), samples)


def test_premultiplied_colors_are_divided_by_their_opacity() -> None:
    color, alpha = noise(9, 11, 3, np.uint16), np.full((9, 11, 1), 40000, np.uint16)
    multiplied = np.rint(color.astype(float) * alpha / 65535).astype(np.uint16)
    stream = io.BytesIO()
    premultiplied = np.concatenate((multiplied, alpha), 2)
    tifffile.imwrite(stream, premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    stream.seek(0)
    image = read_image(stream)
    assert image.alpha is not None
    assert np.array_equal(image.alpha, alpha)
    assert np.abs(image.pixels.astype(int) - color).max() <= 1


def test_white_is_zero_is_inverted() -> None:
    samples, stream = noise(6, 7, 1, np.uint16), io.BytesIO()
    tifffile.imwrite(stream, samples[..., 0], photometric="miniswhite")
    stream.seek(0)
    assert np.array_equal(read_image(stream).pixels, 65535 - samples)


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
    assert np.array_equal(samples_of(read_image(png(kind, 16, (11, 13), rows, interlace=1))), samples)


@pytest.mark.parametrize("depth,key", [(2, 2), (4, 7), (8, 77), (16, 7777)])
def test_one_transparent_gray_becomes_alpha(depth: int, key: int) -> None:
    white = 2**depth - 1
    values = np.array([[0, key, white, key, 1, key, 0, white]])
    packed = np.packbits((values[..., None] >> np.arange(depth)[::-1]) & 1).tobytes()
    image = read_image(png(0, depth, (1, 8), b"\0" + packed, (b"tRNS", struct.pack(">H", key))))
    full = 65535 if depth == 16 else 255
    assert image.alpha is not None
    assert np.array_equal(image.alpha[..., 0], np.where(values == key, 0, full))
    assert np.array_equal(image.pixels[..., 0], values * (full // white))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_transparent_color_becomes_alpha(dtype: type) -> None:
    samples = noise(3, 4, 3, dtype)
    samples[1, 2] = samples[2, 0] = [3, 4, 5]
    rows = b"".join(b"\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for row in samples)
    depth = 8 * samples.itemsize
    image = read_image(png(2, depth, (3, 4), rows, (b"tRNS", struct.pack(">3H", 3, 4, 5))))
    assert image.alpha is not None
    assert np.argwhere(image.alpha[..., 0] == 0).tolist() == [[1, 2], [2, 0]]
    assert np.array_equal(image.pixels, samples)


def test_palettes_become_colors_with_their_opacity() -> None:
    colors = noise(1, 5, 3)[0]
    indices = SAMPLES.integers(0, 5, (6, 7), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    opaque = png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()))
    assert np.array_equal(read_image(opaque).pixels, colors[indices])
    assert read_image(opaque := io.BytesIO(opaque.getvalue())).alpha is None
    opacity = np.array([0, 90, 255, 255, 255], np.uint8)
    image = read_image(png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()), (b"tRNS", opacity[:2].tobytes())))
    assert np.array_equal(samples_of(image), np.concatenate((colors[indices], opacity[indices][..., None]), 2))


def test_one_bit_becomes_gray() -> None:
    stream, bits = io.BytesIO(), SAMPLES.integers(0, 2, (5, 9)).astype(bool)
    Image.fromarray(bits).save(stream, "PNG")
    assert np.array_equal(read_image(stream_at_start(stream)).pixels[..., 0], bits * 255)


def test_cmyk_becomes_srgb_without_its_profile() -> None:
    image = Image.fromarray(np.full((8, 8, 3), [200, 60, 30], np.uint8)).convert("CMYK")
    stream = io.BytesIO()
    image.save(stream, "TIFF", icc_profile=b"no profile that can be used")
    loaded = read_image(stream_at_start(stream))
    assert loaded.pixels[4, 4].tolist() == [200, 60, 30]
    assert (loaded.icc_profile, loaded.warnings) == (None, ("CMYK converted to sRGB",))


def test_reading_warns_about_dropped_content(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(6, 6, 3)) for _ in range(3)]
    for name in ("a.webp", "a.png", "a.tif"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "w" in name else {})
        )
        image = read_image(tmp_path / name)
        assert image.warnings == ("only the first of 3 images was read",), name
        assert np.array_equal(image.pixels, np.asarray(frames[0])), name
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a title")
    texts.add(b"gAMA", struct.pack(">I", 100000))
    frames[0].save(tmp_path / "text.png", pnginfo=texts)
    assert read_image(tmp_path / "text.png").warnings == ("dropped text: Title", "dropped gamma: 1.0")
    frames[0].save(tmp_path / "comment.jpg", comment=b"a comment")
    assert read_image(tmp_path / "comment.jpg").warnings == ("dropped text: comment",)


def test_multi_picture_files_are_read_as_jpeg(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(16, 16, 3)) for _ in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.jpg")
    assert (image.format, image.lossy, len(image.warnings)) == ("JPEG", True, 1)


@pytest.mark.parametrize(
    "kind,message",
    [
        ("float", "unsupported pixel type F;32F; convert the image to 8- or 16-bit gray or RGB"),
        ("signed", "unsupported pixel type I;16S"),
        ("signed bytes", "signed pixels are not supported; convert the image to unsigned 8 or 16 bits"),
        ("32 bits", "unsupported pixel type I;32"),
        ("planes", "planar 16-bit channels are not supported"),
        ("gif", "not a supported PNG, JPEG, WebP, TIFF or BMP"),
        ("text", "not a supported PNG, JPEG, WebP, TIFF or BMP"),
        ("empty", "not a supported PNG, JPEG, WebP, TIFF or BMP"),
        ("postscript", "not a supported PNG, JPEG, WebP, TIFF or BMP"),
    ],
)
def test_unsupported_pixel_types_are_rejected(kind: str, message: str) -> None:
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
    with pytest.raises(ImageFileError, match=message):
        read_image(stream_at_start(stream))


def test_missing_files_and_folders_raise_os_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(OSError):
            read_image(path)
