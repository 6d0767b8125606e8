"""A picture and what its file says of it."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Pixels = NDArray[Any]

_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}


class ImageFileError(ValueError):
    """A file holds no readable picture, or a picture does not fit into a file."""


@dataclass(frozen=True)
class ImageData:
    """A picture as its file holds it: not rotated, whatever its EXIF orientation says.

    Attributes:
        pixels: (H, W, C), uint8 or uint16, RGB or one channel of gray.
        alpha: (H, W, 1) of the same kind, 0 = transparent; None where all is opaque.
        format: Pillow's name of the format.
        lossy: whether the file held it with losses.
        exif: EXIF block, which starts with the byte order.
        xmp: XMP packet.
        icc_profile: color profile.
        dpi: pixels per inch, horizontal and vertical.
        remarks: what of the file is not kept here.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    lossy: bool = False
    exif: bytes | None = None
    xmp: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    remarks: tuple[str, ...] = ()


def check_size(format: str, height: int, width: int) -> None:
    """Refuse a picture that a format cannot hold.

    Raises:
        ImageFileError: a side is too long.

    Example:
        >>> check_size("JPEG", 3000, 4000)
    """
    longest = _LONGEST_SIDE.get(format)
    if longest and max(height, width) > longest:
        raise ImageFileError(f"{format} holds sides of up to {longest} pixels, not {width}x{height}; write PNG or TIFF")
