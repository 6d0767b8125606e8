"""`ImageFile`: the content of an image file."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...errors import SRBlocksError

Pixels = NDArray[Any]

_MAX_SIDE = {"JPEG": 65500, "WEBP": 16383}


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


def check_size(format: str, height: int, width: int) -> None:
    """Raise if a format cannot hold an image of this size.

    Raises:
        ImageFileError: a side is too long.

    Examples:
        >>> check_size("JPEG", 3000, 4000)
    """
    longest = _MAX_SIDE.get(format)
    if longest and max(height, width) > longest:
        cause = f"{format} supports sides of up to {longest} pixels, got {width}x{height}"
        raise ImageFileError(cause, "write PNG or TIFF")
