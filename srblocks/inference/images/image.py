"""`ImageFile`: the content of an image file, and its EXIF block."""

import math
import struct
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, TiffTags

from ...errors import SRBlocksError

Pixels = NDArray[Any]

HEADER = b"Exif\0\0"
"""Prefix of EXIF blocks in JPEG files and in Pillow."""

_CAMERA, _INTEROPERABILITY = 0x8769, 0xA005
_DESCRIPTIVE = {269, 270, 271, 272, 274, 282, 283, 285, 296, 305, 306, 315, 316, 18246, 33432, 33723, 34665, 34853}
"""Tags of a TIFF file that describe the image, not its encoding."""


class ImageFileError(SRBlocksError, ValueError):
    """A file is not a readable image, or a format cannot hold an image."""

    exit_code = 9


@dataclass(frozen=True)
class ImageFile:
    """The content of an image file: pixels and metadata. The EXIF orientation is not applied to the pixels.

    Attributes:
        pixels: (H, W, C), uint8 or uint16, RGB or gray.
        alpha: (H, W, 1) with the same dtype, 0 = transparent; None if the image is opaque.
        format: Pillow's name of the format.
        lossy: whether the file is compressed with loss.
        exif: EXIF block, starting with the byte order.
        xmp: XMP packet.
        icc_profile: color profile.
        dpi: pixels per inch, horizontal and vertical.
        warnings: what was not kept.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    lossy: bool = False
    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()


def exif_of(image: Image.Image) -> bytes | None:
    """Return the EXIF block of a file, or one made of the tags of a TIFF file.

    Pillow applies the orientation of TIFF files on load and removes its tag.
    """
    block = image.info.get("exif")
    if not block:
        exif = image.getexif()
        for tag in [tag for tag in exif if image.format == "TIFF" and tag not in _DESCRIPTIVE]:
            del exif[tag]
        try:
            block = exif.tobytes() if len(exif) else None
        except Exception:  # values of wrong types raise various exceptions
            return None
    return block.removeprefix(HEADER) if block else None


def exif_of_size(exif: bytes, height: int, width: int) -> bytes:
    """Return an EXIF block with a new image size in the tags that state it; all other bytes stay.

    The thumbnail stays, too: it shows the same image.
    """
    sides = {0x0100: width, 0x0101: height, 0xA002: width, 0xA003: height}
    block, order = bytearray(exif), ">" if exif[:2] == b"MM" else "<"
    try:
        directories = list(struct.unpack_from(f"{order}I", block, 4))
        for directory in directories:  # the main one, and the EXIF directory that it points to
            (count,) = struct.unpack_from(f"{order}H", block, directory)
            for entry in range(directory + 2, directory + 2 + 12 * count, 12):
                tag, kind, _, value = struct.unpack_from(f"{order}HHII", block, entry)
                if tag == _CAMERA and len(directories) == 1:
                    directories.append(value)
                elif tag in sides and kind == TiffTags.SHORT and sides[tag] < 65536:
                    struct.pack_into(f"{order}H", block, entry + 8, sides[tag])
                elif tag in sides:
                    struct.pack_into(f"{order}HII", block, entry + 2, TiffTags.LONG, 1, sides[tag])
    except struct.error:  # damaged blocks are kept
        return exif
    return bytes(block)


def tiff_directory(exif: bytes | None) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return a TIFF directory with the tags of an EXIF block.

    Raises:
        Exception: values of wrong types raise various exceptions.
    """
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    if exif:
        tags = Image.Exif()
        tags.load(HEADER + exif)
        for tag, value in tags.items():
            directory[tag] = tags.get_ifd(tag) if tag in TiffTags.TAGS_V2_GROUPS else value
        if _INTEROPERABILITY in tags.get_ifd(_CAMERA):
            directory[_CAMERA][_INTEROPERABILITY] = tags.get_ifd(_INTEROPERABILITY)
        directory.tobytes()
    return directory


def resolution(dpi: Any) -> tuple[float, float] | None:
    """Return pixels per inch, or None if the values are invalid."""
    if not dpi:
        return None
    values = float(dpi[0]), float(dpi[1])
    return values if all(math.isfinite(value) and 0 < value < 65536 for value in values) else None
