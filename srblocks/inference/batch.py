"""Upscale image files: one file, its bytes, or a batch of jobs."""

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
from .errors import UpscaleError, failure_reason
from .formats import FORMATS
from .images import ImageFile, ImageFileError, check_size, read_image, write_image
from .paths import Job
from .upscaler import Upscaler

Pixels = NDArray[Any]

APPROXIMATE = "approximate: upscaled in tiles by a network with a global receptive field"
"""Warning about an image whose tiles differ slightly from the untiled result."""

PADDED = "padded to a size that the network accepts, and cropped"
"""Warning about an image whose size the network does not accept."""

_FILE_ERRORS = {errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL, errno.EILSEQ, errno.EFBIG}
"""Errors of writing that concern one file; others concern all."""

Progress = Callable[[float], None]
"""Function that receives the finished fraction of an image."""


def _ignore(fraction: float) -> None:
    pass


def upscale_image(
    upscaler: Upscaler, image: ImageFile, *, tile: int | None = None, progress: Progress = _ignore
) -> ImageFile:
    """Upscale an image with its bit depth; transparency is upscaled by MATLAB's bicubic interpolation.

    Gray images are upscaled as RGB and converted back to gray.

    Args:
        upscaler: upscaler of RGB images.
        image: the image.
        tile: tile size, see `Upscaler.upscale`; None for that of the upscaler.
        progress: called with the finished fraction of the image.
    """
    low, warnings = image.pixels, image.warnings
    size = (low.shape[0], low.shape[1])
    if upscaler.is_padded(size):
        warnings += (PADDED,)
    if not upscaler.is_exact(size, tile=tile):
        warnings += (APPROXIMATE,)
    if low.shape[2] == 1:
        rgb = np.broadcast_to(low, (*low.shape[:2], 3))
        pixels = _to_gray(upscaler.upscale(rgb, tile=tile, progress=progress))
    else:
        pixels = upscaler.upscale(low, tile=tile, progress=progress)
    alpha = None if image.alpha is None else _bicubic(upscaler.scale).upscale(image.alpha)
    return dataclasses.replace(image, pixels=pixels, alpha=alpha, warnings=warnings)


def _to_gray(rgb: Pixels) -> Pixels:
    """Return full-range luma (ITU-R BT.601) in integer arithmetic, in blocks of rows to save memory."""
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
    """Upscale the content of an image file; see `upscale_file` for arguments and errors.

    Examples:
        >>> from srblocks.inference import open_upscaler
        >>> stream = io.BytesIO()
        >>> _ = write_image(ImageFile(np.zeros((20, 30, 3), np.uint8)), stream)
        >>> upscaled = upscale_bytes(open_upscaler("fsrcnn", scale=2), stream.getvalue())
        >>> read_image(io.BytesIO(upscaled)).pixels.shape
        (40, 60, 3)
    """
    stream = io.BytesIO()
    write_image(_upscaled(upscaler, io.BytesIO(data), format, tile, _ignore), stream, format=format, quality=quality)
    return stream.getvalue()


def upscale_file(
    upscaler: Upscaler,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    tile: int | None = None,
    quality: int | None = None,
    progress: Progress = _ignore,
) -> ImageFile:
    """Upscale an image file; the output is written atomically.

    Args:
        upscaler: upscaler of RGB images.
        source: PNG, JPEG, WebP, TIFF or BMP file.
        target: output file; overwritten if it exists.
        format: Pillow's name of the output format; None for that of the suffix of `target`, or that of `source`.
        tile: tile size, see `Upscaler.upscale`; None for that of the upscaler.
        quality: quality of JPEG and WebP, see `srblocks.inference.images.write_image`.
        progress: called with the finished fraction of the image.

    Returns:
        The upscaled image; its `warnings` name what was not kept.

    Raises:
        ImageFileError: the image cannot be read, or the output format or file system cannot hold the result.
        OSError: the file cannot be read.
        WrongOutputError: the model returned a wrong output.
        UpscaleError: exit code 3, the folder or disk cannot be written.
    """
    target = Path(target)
    name = format or FORMATS.get(target.suffix.lower())
    image = _upscaled(upscaler, Path(source), name, tile, progress)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            lost = write_image(image, temporary, format=name or image.format, quality=quality)
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror or error})"
        raise (
            ImageFileError(message) if error.errno in _FILE_ERRORS else UpscaleError(message, exit_code=3)
        ) from error
    return dataclasses.replace(image, warnings=image.warnings + lost)


def _upscaled(
    upscaler: Upscaler, source: Path | BinaryIO, format: str | None, tile: int | None, progress: Progress
) -> ImageFile:
    image = read_image(source)
    height, width = image.pixels.shape[:2]
    check_size(format or image.format, height * upscaler.scale, width * upscaler.scale)
    return upscale_image(upscaler, image, tile=tile, progress=progress)


@dataclass(frozen=True)
class Outcome:
    """Result of a job.

    Attributes:
        job: the files.
        status: "done", "skipped" or "failed".
        size: width and height of the upscaled image.
        seconds: duration.
        warnings: what was not kept, `PADDED` and `APPROXIMATE`.
        reason: why it failed.
        approximate: whether the result differs from upscaling without tiles.
    """

    job: Job
    status: str
    size: tuple[int, int] | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    approximate: bool = False


def run_job(
    upscaler: Upscaler,
    job: Job,
    *,
    tile: int | None = None,
    quality: int | None = None,
    progress: Progress = _ignore,
) -> Outcome:
    """Upscale an image file; errors of this file are returned instead of raised.

    Raises:
        UpscaleError: exit code 3, the folder or disk cannot be written.
    """
    start = time.perf_counter()
    try:
        image = upscale_file(upscaler, job.source, job.target, tile=tile, quality=quality, progress=progress)
    except UpscaleError:
        raise
    except Exception as error:  # one bad file must not stop the others
        return Outcome(job, "failed", reason=failure_reason(error, "use a smaller --tile"))
    height, width = image.pixels.shape[:2]
    seconds, approximate = time.perf_counter() - start, APPROXIMATE in image.warnings
    return Outcome(job, "done", (width, height), seconds, image.warnings, approximate=approximate)
