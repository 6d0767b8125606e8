"""PSNR and SSIM of images by the protocol of published tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..color import rgb_to_y
from ..inference import UpscaleError, Upscaler
from ..inference.errors import failure
from ..inference.formats import FORMATS
from ..inference.upscaler import Image
from ..metrics import psnr, ssim
from ..resize import reduced_pair


@dataclass(frozen=True)
class Score:
    """Fidelity of one image on luma.

    Attributes:
        image: its name.
        psnr: peak signal-to-noise ratio in decibels; infinite for equal images.
        ssim: structural similarity; None below 11 pixels per side.
    """

    image: str
    psnr: float
    ssim: float | None


def score(upscale: Upscaler, rgb: Image, name: str = "") -> Score:
    """Reduce an image, enlarge it again and compare the lumas.

    A network on luma sees the luma of the image, reduced in floating point, and nothing is rounded. Any other sees the
    picture reduced in 8 bits and gives one of 8 bits, whose luma is not rounded. `scale` pixels at every border are
    left out.

    Args:
        upscale: what enlarges.
        rgb: (H, W, 3), uint8.
        name: for the report.

    Raises:
        ValueError: the image is smaller than its border.
    """
    if upscale.color == "y":
        low, high = reduced_pair(rgb_to_y(rgb), upscale.scale)
        enlarged = upscale(low[..., None])[..., 0]
    else:
        low, picture = reduced_pair(rgb, upscale.scale)
        high = rgb_to_y(picture)
        enlarged = rgb_to_y(np.round(upscale(low / 255) * 255).astype(np.uint8))
    return compare(enlarged, high, upscale.scale, name)


def compare(enlarged: Image, high: Image, border: int, name: str = "") -> Score:
    """Compare two images of one channel without their borders."""
    similarity = ssim(enlarged, high, crop_border=border) if min(high.shape) - 2 * border >= 11 else None
    return Score(name, psnr(enlarged, high, crop_border=border), similarity)


def protocol(color: str, scale: int) -> str:
    """State in one sentence how the figures come about."""
    low = (
        "luma (studio range) of the RGB image, reduced by MATLAB's bicubic in floating point, not rounded"
        if color == "y"
        else "RGB image reduced by MATLAB's bicubic in 8 bits, output rounded to 8 bits; its luma (studio range)"
    )
    return f"{low}; compared with the original's luma, {scale} border pixels left out, peak 255; mean over images"


def image_files(data: Path) -> list[Path]:
    """Give the images of a folder that are not hidden, in the order of their names, or one file.

    Raises:
        UpscaleError: there is none.
    """
    found = (path for path in data.glob("*") if path.suffix.lower() in FORMATS and not path.name.startswith("."))
    files = [data] if data.is_file() else sorted(found)
    if not files:
        what = "holds no images" if data.is_dir() else "is no folder"
        raise UpscaleError(2, f"{data} {what}; give a folder with files that end in {', '.join(FORMATS)}")
    return files


def read_image(path: Path) -> Image:
    """Read an image as (H, W, 3), uint8 RGB, without its transparency and without further frames.

    Raises:
        UpscaleError: Pillow is missing.
        ValueError: the file is no image, or has more than 8 bits per channel.
    """
    try:
        from ..inference.images import read_image  # noqa: PLC0415 (it needs Pillow, an optional extra)
    except ImportError as error:
        raise UpscaleError(4, str(error)) from error
    try:
        pixels = read_image(path).pixels
    except OSError as error:
        raise ValueError(f"no readable image ({error})") from error
    if pixels.dtype != np.uint8:
        raise ValueError("16 bits per channel; the protocol is one of 8 bits, convert the image first")
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def evaluate(upscale: Upscaler, files: Sequence[Path], failures: dict[Path, str] | None = None) -> Iterator[Score]:
    """Score files one by one.

    Args:
        upscale: what enlarges.
        files: images.
        failures: takes up what is wrong with files that have no score; None to raise it.

    Raises:
        UpscaleError: Pillow is missing.
        ValueError: with ``failures=None``, a file is no image or too small, the model fails, or memory is short.
    """
    for path in files:
        try:
            yield score(upscale, read_image(path), path.name)
        except UpscaleError:
            raise
        except Exception as error:  # whatever one image causes, the others are to be scored
            if failures is None:
                raise ValueError(f"{path}: {failure(error)}") from error
            failures[path] = failure(error)


def means(scores: Sequence[Score]) -> Score:
    """Give the mean decibels and the mean similarity of the images that have one."""
    similarities = [each.ssim for each in scores if each.ssim is not None]
    mean = math.fsum(each.psnr for each in scores) / len(scores)
    return Score("mean", mean, math.fsum(similarities) / len(similarities) if similarities else None)
