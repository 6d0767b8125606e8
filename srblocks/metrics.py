"""PSNR and SSIM by the protocol of published results.

Images are NumPy arrays (H, W) or (H, W, C). For networks on luma the published figures are
means over images of ``psnr(network(low), high, crop_border=scale)`` with ``low, high = reduced_pair(rgb_to_y(image),
scale)``, nothing rounded. For networks on RGB the pair is that of the uint8 image, and the luma compared is that of an
output rounded to 8 bits; so it is for bicubic interpolation itself. Other luma definitions or kernels shift the result
by whole decibels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[Any]

_WHITEST = 2
"""No picture in [0, 1] reaches this value, even with overshoot; one in 0..255 does."""


def _comparable(image: ArrayLike, reference: ArrayLike, border: int) -> tuple[Image, Image]:
    first, second = np.asarray(image), np.asarray(reference)
    if first.shape != second.shape:
        raise ValueError(
            f"images of shapes {first.shape} and {second.shape} cannot be compared; give two of the same shape"
        )
    if first.ndim not in (2, 3):
        raise ValueError(f"images of shape {first.shape}; give (H, W) or (H, W, C)")
    if border < 0 or min(first.shape[:2]) <= 2 * border:
        raise ValueError(
            f"crop_border={border} leaves nothing of an image of shape {first.shape}; "
            "give 0 or more, and less than half of each side"
        )
    inside = slice(border, -border or None)
    if first.dtype == second.dtype == np.uint8:
        first, second = first / 255, second / 255
    elif not (np.issubdtype(first.dtype, np.floating) and np.issubdtype(second.dtype, np.floating)):
        raise ValueError(
            f"images of {first.dtype} and {second.dtype} cannot be compared; "
            "give both as uint8 (0..255) or both as floating point ([0, 1])"
        )
    elif second.max() > _WHITEST:
        raise ValueError(
            f"a reference with values up to {second.max():.4g}; give images in [0, 1], such as image / 255"
        )
    return first[inside, inside].astype(np.float64), second[inside, inside].astype(np.float64)


def psnr(image: ArrayLike, reference: ArrayLike, *, crop_border: int = 0) -> float:
    """Give the peak signal-to-noise ratio in decibels; the peak is 1 (255 for uint8).

    Args:
        image: (H, W) or (H, W, C), uint8 or floating point in [0, 1].
        reference: an image of the same shape and kind.
        crop_border: pixels to leave out at every side; the protocol takes the scale.

    Returns:
        Decibels; infinity for equal images.

    Raises:
        ValueError: different shapes or kinds, a reference beyond [0, 1], or nothing left inside the border.

    Example:
        >>> round(psnr(np.zeros((8, 8)), np.full((8, 8), 0.1)), 6)
        20.0
    """
    first, second = _comparable(image, reference, crop_border)
    error = float(np.mean((first - second) ** 2))
    return 10 * math.log10(1 / error) if error else math.inf


def ssim(image: ArrayLike, reference: ArrayLike, *, crop_border: int = 0) -> float:
    """Give the mean structural similarity.

    Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity*, TIP 2004, eq. (13), with
    the authors' settings: 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, windows inside the image only.

    Args:
        image: (H, W), uint8 or floating point in [0, 1].
        reference: an image of the same shape and kind.
        crop_border: pixels to leave out at every side; the protocol takes the scale.

    Returns:
        Similarity in [-1, 1]; 1 for equal images.

    Raises:
        ValueError: different shapes or kinds, a reference beyond [0, 1], more than one channel, or less than 11x11
            pixels inside the border.

    Example:
        >>> ssim(np.eye(16), np.eye(16))
        1.0
    """
    first, second = _comparable(image, reference, crop_border)
    if first.ndim != 2 or min(first.shape) < 11:
        raise ValueError(
            f"ssim: a region of shape {first.shape} is not one channel of at least 11x11 pixels; "
            "give a larger one, of luma alone (rgb_to_y)"
        )
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.lib.stride_tricks.sliding_window_view(values, 11, axis=0) @ window
        return np.lib.stride_tricks.sliding_window_view(rows, 11, axis=1) @ window

    mean1, mean2 = local_mean(first), local_mean(second)
    variance1 = local_mean(first**2) - mean1**2
    variance2 = local_mean(second**2) - mean2**2
    covariance = local_mean(first * second) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    similarity /= (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    return float(similarity.mean())
