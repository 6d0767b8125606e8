"""PSNR and SSIM as in published results.

The published numbers of networks on luma are means over images of ``psnr(network(low), high, crop_border=scale)`` with
``low, high = downscaled_pair(rgb_to_y(image), scale)``, without any rounding. Networks on RGB receive the pair of the
uint8 image; their output is rounded to 8 bits before it is converted to luma, and so is bicubic interpolation. Other
definitions of luma or other downscaling kernels shift the result by whole decibels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[Any]

_MAX_REFERENCE = 2
"""Images in [0, 1] stay below this value even with overshoot; images in 0..255 do not."""


def psnr(image: ArrayLike, reference: ArrayLike, *, crop_border: int = 0) -> float:
    """Return the peak signal-to-noise ratio in decibels; the peak is 1 (255 for uint8).

    Args:
        image: array or tensor (H, W) or (H, W, C), or a batch (N, C, H, W), uint8 or floating point in [0, 1].
        reference: image of the same shape and kind.
        crop_border: pixels to crop on each side; published results use the scale factor.

    Returns:
        PSNR in dB, infinity for equal images; for a batch, the mean of the PSNRs of its images.

    Raises:
        ValueError: different shapes or kinds, a reference outside [0, 1], or no pixels left after cropping.

    Examples:
        >>> round(psnr(np.zeros((8, 8)), np.full((8, 8), 0.1)), 6)
        20.0
    """
    pairs = _pairs("psnr", image, reference, crop_border)
    return sum(_psnr(*pair) for pair in pairs) / len(pairs)


def ssim(image: ArrayLike, reference: ArrayLike, *, crop_border: int = 0) -> float:
    """Return the mean structural similarity.

    Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity*, TIP 2004, eq. (13), with
    the Gaussian window of 11x11 pixels (sigma 1.5), K1 = 0.01, K2 = 0.03 and dynamic range 1 (255 for uint8).

    Args:
        image: array or tensor (H, W), or a batch (N, 1, H, W), uint8 or floating point in [0, 1].
        reference: image of the same shape and kind.
        crop_border: pixels to crop on each side; published results use the scale factor.

    Returns:
        Mean over all positions where the window is inside the image; for a batch, the mean over its images.

    Raises:
        ValueError: different shapes or kinds, a reference outside [0, 1], more than one channel, or fewer than 11x11
            pixels left after cropping.

    Examples:
        >>> ssim(np.ones((11, 11)), np.ones((11, 11)))
        1.0
    """
    pairs = _pairs("ssim", image, reference, crop_border)
    return sum(_ssim(*pair) for pair in pairs) / len(pairs)


def decibels(mean_squared_error: float) -> float:
    """Return the PSNR of a mean squared error for a peak of 1; infinity for an error of 0.

    Examples:
        >>> decibels(0.01)
        20.0
    """
    return 10 * math.log10(1 / mean_squared_error) if mean_squared_error else math.inf


def _psnr(image: Image, reference: Image) -> float:
    return decibels(float(np.mean((image - reference) ** 2)))


def _ssim(image: Image, reference: Image) -> float:
    if image.ndim != 2 or min(image.shape) < 11:
        raise ValueError(
            f"ssim: expected one channel of at least 11x11 pixels after cropping, got shape {image.shape}; "
            "convert RGB to luma first (rgb_to_y)"
        )
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.lib.stride_tricks.sliding_window_view(values, 11, axis=0) @ window
        return np.lib.stride_tricks.sliding_window_view(rows, 11, axis=1) @ window

    mean1, mean2 = local_mean(image), local_mean(reference)
    variance1 = local_mean(image**2) - mean1**2
    variance2 = local_mean(reference**2) - mean2**2
    covariance = local_mean(image * reference) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    similarity /= (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    return float(similarity.mean())


def _pairs(owner: str, image: ArrayLike, reference: ArrayLike, border: int) -> list[tuple[Image, Image]]:
    """Return the images to compare, (H, W) or (H, W, C), cropped and as float64 in [0, 1]."""
    first, second = _array(image), _array(reference)
    if first.shape != second.shape:
        raise ValueError(f"{owner}: images must have the same shape, got {first.shape} and {second.shape}")
    if first.ndim not in (2, 3, 4) or 0 in first.shape:
        raise ValueError(f"{owner}: expected images (H, W), (H, W, C) or (N, C, H, W), got shape {first.shape}")
    if first.dtype == second.dtype == np.uint8:
        first, second = first / 255, second / 255
    elif not (np.issubdtype(first.dtype, np.floating) and np.issubdtype(second.dtype, np.floating)):
        raise ValueError(
            f"{owner}: images must both be uint8 (0..255) or both floating point ([0, 1]), got {first.dtype} and "
            f"{second.dtype}"
        )
    elif second.max() > _MAX_REFERENCE:
        raise ValueError(
            f"{owner}: floating-point images must be in [0, 1], got a reference with values up to {second.max():.4g}; "
            "divide by 255"
        )
    if first.ndim == 4:
        first, second = (batch.transpose(0, 2, 3, 1) for batch in (first, second))
        if first.shape[-1] == 1:
            first, second = first[..., 0], second[..., 0]
    else:
        first, second = first[None], second[None]
    height, width = first.shape[1:3]
    if border < 0 or min(height, width) <= 2 * border:
        raise ValueError(f"{owner}: crop_border must be >= 0 and leave pixels of {height}x{width} images, got {border}")
    inside = slice(border, -border or None)
    crops = (batch[:, inside, inside].astype(np.float64) for batch in (first, second))
    return list(zip(*crops, strict=True))


def _array(image: Any) -> Image:
    """Convert an array, or a tensor on any device, to NumPy."""
    if not hasattr(image, "detach"):
        return np.asarray(image)
    if image.ndim == 3 and image.shape[2] > 4 and image.shape[0] <= 4:
        raise ValueError(
            f"expected a tensor (H, W, C), got shape {tuple(image.shape)}; pass (C, H, W) tensors as image[None]"
        )
    tensor = image.detach().cpu()
    return np.asarray(tensor.float() if tensor.is_floating_point() and tensor.dtype.itemsize < 4 else tensor)
