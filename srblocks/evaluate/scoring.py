"""PSNR and SSIM of images, as in published results, see `srblocks.metrics`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..color import rgb_to_y
from ..inference.errors import UpscaleError, failure_reason
from ..inference.formats import FORMATS
from ..inference.upscaler import Image, Upscaler
from ..metrics import psnr, ssim
from ..resize import downscaled_pair


@dataclass(frozen=True)
class Score:
    """Scores of one image on luma.

    Attributes:
        image: its name.
        psnr: PSNR in dB; infinity for equal images.
        ssim: SSIM; None if less than 11 pixels per side are left after cropping.
    """

    image: str
    psnr: float
    ssim: float | None


def score(upscale: Upscaler, rgb: Image, name: str = "") -> Score:
    """Downscale an image, upscale it and compare the luma of both.

    Models on luma receive the luma of the image, downscaled in floating point, and nothing is rounded. Models on RGB
    receive the image downscaled in 8 bits; their output is rounded to 8 bits, its luma is not. `scale` border pixels
    are cropped.

    Args:
        upscale: the model.
        rgb: (H, W, 3), uint8.
        name: name in the score.

    Raises:
        ValueError: nothing is left after cropping.
    """
    if upscale.color == "y":
        low, high = downscaled_pair(rgb_to_y(rgb), upscale.scale)
        upscaled = upscale(low[..., None])[..., 0]
    else:
        low, cropped = downscaled_pair(rgb, upscale.scale)
        high = rgb_to_y(cropped)
        upscaled = rgb_to_y(np.round(upscale(low / 255) * 255).astype(np.uint8))
    return compare(upscaled, high, upscale.scale, name)


def compare(upscaled: Image, high: Image, border: int, name: str = "") -> Score:
    """Compare two images (H, W) in [0, 1] after cropping `border` pixels per side."""
    similarity = ssim(upscaled, high, crop_border=border) if min(high.shape) - 2 * border >= 11 else None
    return Score(name, psnr(upscaled, high, crop_border=border), similarity)


def protocol(color: str, scale: int) -> str:
    """Return one sentence that describes how the scores are computed."""
    low = (
        "luma (studio range) of the RGB image, downscaled by MATLAB bicubic in floating point, not rounded"
        if color == "y"
        else "RGB image downscaled by MATLAB bicubic in 8 bits, output rounded to 8 bits; its luma (studio range)"
    )
    return f"{low}; compared with the original luma, {scale} border pixels cropped, peak 255; mean over images"


def image_files(data: Path) -> list[Path]:
    """Return the images of a folder by name, without hidden files; or a single file.

    Raises:
        UpscaleError: no images.
    """
    found = (path for path in data.glob("*") if path.suffix.lower() in FORMATS and not path.name.startswith("."))
    files = [data] if data.is_file() else sorted(found)
    if files:
        return files
    if not data.is_dir():
        raise UpscaleError(f"no such file or directory: {data}")
    raise UpscaleError(f"no images in {data}", f"images end in {', '.join(FORMATS)}")


def read_image(path: Path) -> Image:
    """Read an image as (H, W, 3), uint8 RGB, without transparency; only the first frame.

    Raises:
        MissingLibraryError: Pillow is not installed.
        ValueError: not an image, or more than 8 bits per channel.
    """
    from ..inference.images import read_image  # noqa: PLC0415 (Pillow is optional)

    try:
        pixels = read_image(path).pixels
    except OSError as error:
        raise ValueError(f"cannot read the image ({error})") from error
    if pixels.dtype != np.uint8:
        raise ValueError("16-bit images are not supported; convert it to 8 bits")
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def evaluate(upscale: Upscaler, files: Sequence[Path], failures: dict[Path, str] | None = None) -> Iterator[Score]:
    """Yield the scores of image files.

    Args:
        upscale: the model.
        files: images.
        failures: receives the reasons of files without a score; None to raise them.

    Raises:
        MissingLibraryError: Pillow is not installed.
        ValueError: with ``failures=None``, a file is not an image or too small, the model fails, or memory is short.
    """
    for path in files:
        try:
            yield score(upscale, read_image(path), path.name)
        except ImportError:
            raise
        except Exception as error:  # one bad file must not stop the others
            if failures is None:
                raise ValueError(f"{path}: {failure_reason(error)}") from error
            failures[path] = failure_reason(error)


def means(scores: Sequence[Score]) -> Score:
    """Return the mean PSNR, and the mean SSIM of the images that have one."""
    similarities = [each.ssim for each in scores if each.ssim is not None]
    mean = math.fsum(each.psnr for each in scores) / len(scores)
    return Score("mean", mean, math.fsum(similarities) / len(similarities) if similarities else None)
