"""MATLAB-compatible bicubic ``imresize``, which creates the low-resolution images of published benchmarks."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[Any]

MATLAB_A = -0.5
"""Parameter of Keys' kernel in MATLAB's imresize; torch's bicubic interpolation uses -0.75."""


def cubic(x: ArrayLike, a: float = MATLAB_A) -> NDArray[np.float64]:
    """Return the weights of Keys' cubic convolution kernel at distances of `x` pixels.

    Keys, *Cubic Convolution Interpolation for Digital Image Processing*, IEEE TASSP 1981.
    """
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _resize_matrix(length: int, out_length: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return source indices and weights of one dimension, both (out_length, taps); borders are mirrored."""
    shrink = min(1.0, scale)
    taps = math.ceil(4 / shrink) + 2
    centers = (np.arange(out_length) + 0.5) / scale - 0.5
    left = np.floor(centers - 2 / shrink).astype(np.int64)
    indices = left[:, None] + np.arange(taps)
    weights = cubic(shrink * (centers[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirror[indices % (2 * length)], weights


def imresize(image: ArrayLike, scale: float | None = None, *, size: tuple[int, int] | None = None) -> Image:
    """Resize like MATLAB's ``imresize(image, scale, 'bicubic')``, with antialiasing for downscaling.

    Args:
        image: (H, W) or (H, W, C). uint8 is rounded and clipped after each of the two passes, which matches MATLAB
            bit for bit; floating point is computed in float64 and not clipped.
        scale: scale factor; the output has ``ceil(scale * H)`` by ``ceil(scale * W)`` pixels.
        size: height and width of the output, instead of `scale`.

    Returns:
        The resized image: uint8 for uint8 input, otherwise float64.

    Raises:
        ValueError: neither or both of `scale` and `size`, a non-positive size, or an image of another shape.

    Examples:
        >>> imresize(np.zeros((5, 7, 3), np.uint8), 2).shape
        (10, 14, 3)
    """
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"imresize: expected an image (H, W) or (H, W, C), got shape {pixels.shape}")
    if (scale is None) == (size is None) or (size is not None and len(size) != 2):
        raise ValueError("imresize: pass either scale or size=(height, width)")
    if scale is not None and not 0 < scale < math.inf:
        raise ValueError(f"imresize: scale must be positive and finite, got {scale}")
    height, width = pixels.shape[:2]
    if not pixels.size:
        raise ValueError(f"imresize: the image has no pixels (shape {pixels.shape})")
    if size is None:
        assert scale is not None
        target, factors = (math.ceil(scale * height), math.ceil(scale * width)), (scale, scale)
    else:
        target, factors = size, (size[0] / height, size[1] / width)
    if min(target) < 1:
        raise ValueError(
            f"imresize: cannot resize {height}x{width} to {target[0]}x{target[1]}; both sides must be >= 1 pixel"
        )
    result = pixels.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        indices, weights = _resize_matrix(pixels.shape[axis], target[axis], factors[axis])
        taps = np.take(result, indices, axis=axis)
        result = np.moveaxis(np.einsum("ot,ot...->o...", weights, np.moveaxis(taps, (axis, axis + 1), (0, 1))), 0, axis)
        if pixels.dtype == np.uint8:
            result = np.clip(np.floor(result + 0.5), 0, 255)
    return result.astype(np.uint8) if pixels.dtype == np.uint8 else result


def downscaled_pair(image: ArrayLike, scale: int) -> tuple[Image, Image]:
    """Crop an image to a multiple of `scale` and downscale it by `scale` with `imresize`.

    Args:
        image: (H, W) or (H, W, C), see `imresize`.
        scale: scale factor.

    Returns:
        The low-resolution and the cropped high-resolution image.

    Raises:
        ValueError: the image is smaller than `scale`.

    Examples:
        >>> [image.shape for image in downscaled_pair(np.zeros((11, 7)), 2)]
        [(5, 3), (10, 6)]
    """
    pixels = np.asarray(image)
    if min(pixels.shape[:2]) < scale:
        raise ValueError(f"downscaled_pair: the image (shape {pixels.shape}) is smaller than scale {scale}")
    height, width = (side // scale * scale for side in pixels.shape[:2])
    high = pixels[:height, :width]
    return imresize(high, 1 / scale), high
