"""Reading image files, compared with other libraries."""

import io
import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from helpers.images import RNG, encode_tiff, encode_with_opencv, noise, rewound, samples_of
from srblocks.inference.images import ImageFileError, read_image


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_opencv_files_are_read_in_full_bit_depth(suffix: str) -> None:
    for channels, dtype in itertools.product((1, 3, 4), (np.uint8, np.uint16)):
        samples = noise(13, 17, channels, dtype)
        image = read_image(encode_with_opencv(samples, suffix))
        assert image.pixels.dtype == dtype
        assert np.array_equal(samples_of(image), samples), (channels, dtype)
        assert (image.warnings, image.lossy) == ((), False)


def test_16_bit_tiffs_of_both_byte_orders() -> None:
    kinds: dict[int, dict[str, object]] = {1: {"photometric": "minisblack"}, 3: {"photometric": "rgb"}}
    kinds[4] = kinds[3] | {"extrasamples": ["unassalpha"]}
    layouts: tuple[dict[str, object], ...] = ({}, {"tile": (16, 32)}, {"compression": "zlib"}, {"rowsperstrip": 3})
    for channels, byte_order, layout in itertools.product(kinds, "<>", layouts):
        samples = noise(33, 45, channels, np.uint16)
        stream = encode_tiff(samples.squeeze(), byteorder=byte_order, **kinds[channels], **layout)
        assert np.array_equal(samples_of(read_image(stream)), samples), (channels, byte_order, layout)


def test_premultiplied_colors_are_divided_by_alpha() -> None:
    color, alpha = noise(9, 11, 3, np.uint16), np.full((9, 11, 1), 40000, np.uint16)
    multiplied = np.rint(color.astype(float) * alpha / 65535).astype(np.uint16)
    premultiplied = np.concatenate((multiplied, alpha), 2)
    image = read_image(encode_tiff(premultiplied, photometric="rgb", extrasamples=["assocalpha"]))
    assert image.alpha is not None
    assert np.array_equal(image.alpha, alpha)
    assert np.abs(image.pixels.astype(int) - color).max() <= 1


def test_white_is_zero_is_inverted() -> None:
    samples = noise(6, 7, 1, np.uint16)
    stream = encode_tiff(samples[..., 0], photometric="miniswhite")
    assert np.array_equal(read_image(stream).pixels, 65535 - samples)


def png(
    color_type: int, depth: int, size: tuple[int, int], rows: bytes, *chunks: tuple[bytes, bytes], interlace: int = 0
) -> io.BytesIO:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", size[1], size[0], depth, color_type, 0, 0, interlace)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def test_interlaced_16_bit_pngs() -> None:
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    for channels, color_type in ((1, 0), (2, 4), (3, 2), (4, 6)):
        samples = noise(11, 13, channels, np.uint16)
        parts = [samples[top::down, left::right].astype(">u2") for top, left, down, right in passes]
        rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
        image = read_image(png(color_type, 16, (11, 13), rows, interlace=1))
        assert np.array_equal(samples_of(image), samples), channels


def test_transparent_gray_becomes_alpha() -> None:
    for depth, key in ((2, 2), (4, 7), (8, 77), (16, 7777)):
        white, full = 2**depth - 1, 65535 if depth == 16 else 255
        values = np.array([[0, key, white, key, 1, key, 0, white]])
        packed = np.packbits((values[..., None] >> np.arange(depth)[::-1]) & 1).tobytes()
        image = read_image(png(0, depth, (1, 8), b"\0" + packed, (b"tRNS", struct.pack(">H", key))))
        assert image.alpha is not None, depth
        assert np.array_equal(image.alpha[..., 0], np.where(values == key, 0, full)), depth
        assert np.array_equal(image.pixels[..., 0], values * (full // white)), depth


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_color_becomes_alpha(dtype: type) -> None:
    samples = noise(3, 4, 3, dtype)
    samples[1, 2] = samples[2, 0] = [3, 4, 5]
    rows = b"".join(b"\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for row in samples)
    depth = 8 * samples.itemsize
    image = read_image(png(2, depth, (3, 4), rows, (b"tRNS", struct.pack(">3H", 3, 4, 5))))
    assert image.alpha is not None
    assert np.argwhere(image.alpha[..., 0] == 0).tolist() == [[1, 2], [2, 0]]
    assert np.array_equal(image.pixels, samples)


def test_palettes_become_rgb_and_alpha() -> None:
    colors = noise(1, 5, 3)[0]
    indices = RNG.integers(0, 5, (6, 7), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    opaque = png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()))
    assert np.array_equal(read_image(opaque).pixels, colors[indices])
    assert read_image(opaque := io.BytesIO(opaque.getvalue())).alpha is None
    opacity = np.array([0, 90, 255, 255, 255], np.uint8)
    image = read_image(png(3, 8, (6, 7), rows, (b"PLTE", colors.tobytes()), (b"tRNS", opacity[:2].tobytes())))
    assert np.array_equal(samples_of(image), np.concatenate((colors[indices], opacity[indices][..., None]), 2))


def test_1_bit_images_become_gray() -> None:
    stream, bits = io.BytesIO(), RNG.integers(0, 2, (5, 9)).astype(bool)
    Image.fromarray(bits).save(stream, "PNG")
    assert np.array_equal(read_image(rewound(stream)).pixels[..., 0], bits * 255)


def test_cmyk_becomes_srgb_without_its_profile() -> None:
    image = Image.fromarray(np.full((8, 8, 3), [200, 60, 30], np.uint8)).convert("CMYK")
    stream = io.BytesIO()
    image.save(stream, "TIFF", icc_profile=b"not a profile")
    loaded = read_image(rewound(stream))
    assert loaded.pixels[4, 4].tolist() == [200, 60, 30]
    assert (loaded.icc_profile, loaded.warnings) == (None, ("CMYK converted to sRGB",))


def test_reading_warns_about_dropped_content(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(6, 6, 3)) for _ in range(3)]
    for name in ("a.webp", "a.png", "a.tif"):
        options = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
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


def test_unsupported_files() -> None:
    deep, unknown = noise(3, 8, 9, np.uint16), "not a supported PNG, JPEG, WebP, TIFF or BMP"
    gif = io.BytesIO()
    Image.new("L", (4, 4)).save(gif, "GIF")
    cases = {
        "float": (
            encode_tiff(deep[..., 0].astype(np.float32)),
            "unsupported pixel type F;32F; convert the image to 8- or 16-bit gray or RGB",
        ),
        "signed": (encode_tiff(deep[..., 0].astype(np.int16)), "unsupported pixel type I;16S"),
        "signed bytes": (
            encode_tiff(deep[..., 0].astype(np.int8)),
            "signed pixels are not supported; convert the image to unsigned 8 or 16 bits",
        ),
        "32 bits": (encode_tiff(deep[..., 0].astype(np.int32)), "unsupported pixel type I;32"),
        "planes": (
            encode_tiff(deep, photometric="rgb", planarconfig="separate"),
            "planar 16-bit channels are not supported",
        ),
        "GIF": (rewound(gif), unknown),
        "text": (io.BytesIO(b"<html>not found</html>"), unknown),
        "empty": (io.BytesIO(), unknown),
        "PostScript": (io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), unknown),
    }
    for name, (stream, message) in cases.items():
        with pytest.raises(ImageFileError) as caught:
            read_image(stream)
        assert message in str(caught.value), name


def test_missing_files_and_folders_raise_os_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(OSError):
            read_image(path)
