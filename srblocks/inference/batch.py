"""Enlarging picture files: one, the bytes of one, or what a plan lists."""

import dataclasses
import errno
import functools
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from .._utils.files import atomic_path
from ..tiling import CHROMA_RADIUS
from ..upsampling import InterpolateUp
from .errors import UpscaleError, failure
from .formats import FORMATS
from .images import ImageData, ImageFileError, check_size, read_image, write_image
from .paths import Job
from .upscaler import Upscaler

Pixels = NDArray[Any]

APPROXIMATE = "approximate: the network sees whole pictures, and this one was enlarged in tiles"
"""The remark about such a picture."""

_OF_ONE_NAME = {errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL, errno.EILSEQ, errno.EFBIG}
"""What keeps one file from being written; anything else keeps the others too."""

PADDED = "mirrored at the bottom and at the right to a size that the network takes, and cropped again"
"""The remark about a picture of another size."""

Progress = Callable[[float], None]
"""Takes the share of a picture that is done."""


def _nothing(share: float) -> None:
    pass


def upscale_image(
    upscaler: Upscaler, picture: ImageData, *, tile: int | None = None, progress: Progress = _nothing
) -> ImageData:
    """Enlarge a picture in its own depth, and its transparency by MATLAB's bicubic interpolation.

    Gray pictures go through the network as RGB, and become gray again.

    Args:
        upscaler: what enlarges RGB images.
        picture: what to enlarge.
        tile: side of the tiles, see `Upscaler.enlarge`; None for the upscaler's own.
        progress: called with the share of the picture that is done.
    """
    low, remarks = picture.pixels, picture.remarks
    size = (low.shape[0], low.shape[1])
    if upscaler.is_padded(size):
        remarks += (PADDED,)
    if not upscaler.is_exact(size, tile=tile):
        remarks += (APPROXIMATE,)
    if low.shape[2] == 1:
        pixels = _gray(upscaler.enlarge(np.broadcast_to(low, (*low.shape[:2], 3)), tile=tile, progress=progress))
    else:
        pixels = upscaler.enlarge(low, tile=tile, progress=progress)
    alpha = None if picture.alpha is None else _bicubic(upscaler.scale).enlarge(picture.alpha)
    return dataclasses.replace(picture, pixels=pixels, alpha=alpha, remarks=remarks)


def _gray(rgb: Pixels) -> Pixels:
    """Give the luma of full range (ITU-R BT.601), in whole numbers and some rows at a time."""
    gray = np.empty((*rgb.shape[:2], 1), rgb.dtype)
    weights = np.array([19595, 38470, 7471], np.uint32)
    for top in range(0, len(rgb), 64):
        gray[top : top + 64, :, 0] = (rgb[top : top + 64] @ weights + np.uint32(32768)) >> np.uint32(16)
    return gray


@functools.cache
def _bicubic(scale: int) -> Upscaler:
    interpolate = InterpolateUp(1, scale)

    def run(batch: NDArray[np.float32]) -> Pixels:
        with torch.inference_mode():
            return interpolate(torch.from_numpy(batch)).numpy()

    least = interpolate.min_size
    return Upscaler("bicubic", run, scale, "y", (least, least), radius=CHROMA_RADIUS, tile=512)


def upscale_bytes(
    upscaler: Upscaler, data: bytes, *, format: str | None = None, tile: int | None = None, quality: int | None = None
) -> bytes:
    """Enlarge a picture as it stands in a file; arguments and errors are those of `upscale_file`.

    Example:
        >>> from srblocks.inference import open_upscaler
        >>> stream = io.BytesIO()
        >>> _ = write_image(ImageData(np.zeros((20, 30, 3), np.uint8)), stream)
        >>> enlarged = upscale_bytes(open_upscaler("fsrcnn", scale=2), stream.getvalue())
        >>> read_image(io.BytesIO(enlarged)).pixels.shape
        (40, 60, 3)
    """
    stream = io.BytesIO()
    write_image(_upscaled(upscaler, io.BytesIO(data), format, tile, _nothing), stream, format=format, quality=quality)
    return stream.getvalue()


def upscale_file(
    upscaler: Upscaler,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    tile: int | None = None,
    quality: int | None = None,
    progress: Progress = _nothing,
) -> ImageData:
    """Enlarge a picture file. The new file has its name only when it is whole.

    Args:
        upscaler: what enlarges RGB images.
        source: PNG, JPEG, WebP, TIFF or BMP.
        target: what to write; it is overwritten.
        format: Pillow's name of the new format; None for that of the suffix of `target`, or else that of `source`.
        tile: side of the tiles, see `Upscaler.enlarge`; None for the upscaler's own.
        quality: of JPEG and WebP, see `srblocks.inference.images.write_image`.
        progress: called with the share of the picture that is done.

    Returns:
        The new picture, with remarks on what was not kept.

    Raises:
        ImageFileError: the file holds no readable picture, the format cannot hold the new one, or the file system cannot
            hold a file of this name or size.
        OSError: the file cannot be read.
        WrongOutputError: the model gives no picture of the size that it should have.
        UpscaleError: code 3, the folder or the disk cannot be written.
    """
    target = Path(target)
    name = format or FORMATS.get(target.suffix.lower())
    picture = _upscaled(upscaler, Path(source), name, tile, progress)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            lost = write_image(picture, temporary, format=name or picture.format, quality=quality)
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror or error})"
        raise (ImageFileError(message) if error.errno in _OF_ONE_NAME else UpscaleError(3, message)) from error
    return dataclasses.replace(picture, remarks=picture.remarks + lost)


def _upscaled(
    upscaler: Upscaler, source: Path | BinaryIO, format: str | None, tile: int | None, progress: Progress
) -> ImageData:
    picture = read_image(source)
    height, width = picture.pixels.shape[:2]
    check_size(format or picture.format, height * upscaler.scale, width * upscaler.scale)
    return upscale_image(upscaler, picture, tile=tile, progress=progress)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: the files.
        status: "done", "skipped" or "failed".
        size: width and height of the new picture.
        seconds: how long it took.
        remarks: what was not kept, and `APPROXIMATE`.
        reason: why it failed.
    """

    job: Job
    status: str
    size: tuple[int, int] | None = None
    seconds: float | None = None
    remarks: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def is_approximate(self) -> bool:
        """Tell whether the tiles are not what the whole picture would be."""
        return APPROXIMATE in self.remarks


def run_job(
    upscaler: Upscaler,
    job: Job,
    *,
    tile: int | None = None,
    quality: int | None = None,
    progress: Progress = _nothing,
) -> Outcome:
    """Enlarge a picture file, and tell what keeps it from being enlarged instead of raising it.

    Raises:
        UpscaleError: code 3, the folder or the disk cannot be written.
    """
    start = time.perf_counter()
    try:
        picture = upscale_file(upscaler, job.source, job.target, tile=tile, quality=quality, progress=progress)
    except UpscaleError:
        raise
    except Exception as error:  # whatever one file causes, the others are to be enlarged
        return Outcome(job, "failed", reason=failure(error, "give a smaller --tile"))
    height, width = picture.pixels.shape[:2]
    return Outcome(job, "done", (width, height), time.perf_counter() - start, picture.remarks)
