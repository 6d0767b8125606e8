"""Damaged and oversized images: each can be read and written again, or is an ImageFileError."""

import io
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.hostile import damaged
from helpers.support import cases
from srblocks.inference.images import ImageFile, ImageFileError, read_image, write_image

FORMS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
KINDS = [(form, deep) for form in sorted(FORMS) for deep in (False, True)]


def good(form: str, *, deep: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    pixels = noise.astype(np.uint16) * 257 if deep and form in ("PNG", "TIFF") else noise
    exif = Image.Exif()
    exif[274], exif[306] = 6, "2026:01:01 00:00:00"
    profile = bytes(16) + b"RGB XYZ " + bytes(200)
    image = ImageFile(
        pixels, None, form, exif=exif.tobytes()[6:], xmp=b"<x:xmpmeta/>", icc_profile=profile, dpi=(72.0, 72.0)
    )
    stream = io.BytesIO()
    write_image(image, stream, format=form)
    return stream.getvalue()


@pytest.fixture(scope="module")
def valid() -> dict[tuple[str, bool], bytes]:
    return {kind: good(kind[0], deep=kind[1]) for kind in KINDS}


@cases(200)
@given(kind=st.sampled_from(KINDS), target=st.sampled_from(FORMS), data=st.data())
def test_damaged_images_are_read_and_written_or_rejected(
    valid: dict[tuple[str, bool], bytes],
    kind: tuple[str, bool],
    target: str,
    data: st.DataObject,
    tally: Counter[str],
) -> None:
    tally["damaged files"] += 1
    content = data.draw(damaged(valid[kind]))
    try:
        image = read_image(io.BytesIO(content))
    except ImageFileError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 500
        return
    height, width, channels = image.pixels.shape
    assert channels in (1, 3)
    assert image.pixels.dtype in (np.uint8, np.uint16)
    if height * width < 2**20:
        stream = io.BytesIO()
        write_image(image, stream, format=target)
        sides = read_image(stream).pixels.shape[:2]  # TIFF files are read upright
        assert sides == (height, width) or (target == "TIFF" and sides == (width, height))


@cases(60)
@given(
    place=st.sampled_from(["exif", "xmp", "icc_profile"]), block=st.binary(max_size=200), form=st.sampled_from(FORMS)
)
def test_metadata_is_kept_or_a_warning_names_it(place: str, block: bytes, form: str, tally: Counter[str]) -> None:
    tally["damaged files"] += 1
    image = ImageFile(np.zeros((4, 5, 3), np.uint8), **{place: block})
    stream = io.BytesIO()
    warnings = write_image(image, stream, format=form)
    kept = getattr(read_image(stream), place)
    assert kept == block or not block or warnings or form == "TIFF" or place == "exif"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes, rows: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = rows or zlib.compress(bytes(min(height * (1 + 3 * width), 1000)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(**changes: int) -> bytes:
    """Return a gray TIFF file of 8x8 pixels in one tile, with changed tags."""
    tags = {"width": (256, 8), "height": (257, 8), "bits": (258, 8), "compression": (259, 8), "photometric": (262, 1)}
    tags |= {"samples": (277, 1), "tile_width": (322, 16), "tile_height": (323, 16), "offset": (324, 200)}
    tags |= {"count": (325, 64)}
    entries = [struct.pack("<HHII", tag, 4, 1, changes.get(name, value)) for name, (tag, value) in tags.items()]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(200)


def webp() -> bytes:
    size = (16383).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size + size
    body = b"WEBP" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bombs() -> dict[str, bytes]:
    """Return small files that describe large images or contain 128 MiB of compressed data."""
    zeros = zlib.compress(bytes(2**27))
    return {
        "PNG of 10 gigapixels": png(100_000, 100_000),
        "PNG of 178 megapixels": png(13_377, 13_377),
        "PNG text": png(4, 4, chunk(b"zTXt", b"a\0\0" + zeros)),
        "PNG XMP": png(4, 4, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros)),
        "PNG profile": png(4, 4, chunk(b"iCCP", b"a\0\0" + zeros)),
        "PNG rows": png(4, 4, rows=zeros),
        "BMP": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 100_000, 100_000, 1, 24, *(0,) * 6),
        "WebP": webp(),
        "TIFF": tiff(width=100_000, height=100_000),
        "TIFF tile": tiff(tile_width=2**14, tile_height=2**14),
        "TIFF samples": tiff(samples=2**15),
    }


def test_decompression_bombs_are_rejected_before_allocation(tmp_path: Path, tally: Counter[str]) -> None:
    """In a fresh process, each takes less than 100 MiB, and plain images can still be read afterwards."""
    hostile = bombs()
    for number, content in enumerate(hostile.values()):
        (tmp_path / f"{number:02}").write_bytes(content)
    (tmp_path / "plain").write_bytes(png(4, 4))
    code = """
import resource, sys
from pathlib import Path
from srblocks.inference.images import ImageFileError, read_image
for path in sorted(Path(sys.argv[1]).iterdir()):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read = str(read_image(path).pixels.shape)
    except ImageFileError as error:
        read = "rejected"
    print(path.name, read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024, sep=";")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, timeout=120
    )
    found = [line.split(";") for line in done.stdout.splitlines()]
    results = dict(zip([*hostile, "plain"], found, strict=True))
    tally["damaged files"] += len(hostile)
    assert results["plain"][1] == "(4, 4, 3)"
    assert [name for name, (_, read, _) in results.items() if read != "rejected"] == ["PNG rows", "plain"]
    assert [name for name, (_, _, small) in results.items() if small != "True"] == []
