"""The evaluation protocol behind published PSNR figures: MATLAB's resize and luma, PSNR and SSIM.

Images are NumPy arrays of height x width or height x width x channels. For networks on luma the published figures are
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

RGB_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
YCBCR_OFFSET = np.array([16.0, 128.0, 128.0]) / 255
MATLAB_A = -0.5
"""Keys' parameter in MATLAB's imresize; torch's bicubic interpolation uses -0.75."""


def cubic(x: ArrayLike, a: float = MATLAB_A) -> NDArray[np.float64]:
    """Give the weights of Keys' cubic convolution kernel at distances of `x` pixels.

    Keys, *Cubic Convolution Interpolation for Digital Image Processing*, IEEE TASSP 1981.
    """
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _resize_matrix(length: int, out_length: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Source indices and weights, both (out_length, taps), of one dimension; the border is mirrored."""
    shrink = min(1.0, scale)
    taps = math.ceil(4 / shrink) + 2
    centres = (np.arange(out_length) + 0.5) / scale - 0.5
    left = np.floor(centres - 2 / shrink).astype(np.int64)
    indices = left[:, None] + np.arange(taps)
    weights = cubic(shrink * (centres[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirror[indices % (2 * length)], weights


def imresize(image: ArrayLike, scale: float | None = None, *, size: tuple[int, int] | None = None) -> Image:
    """Resize like MATLAB's ``imresize(image, scale, 'bicubic')``, antialiasing when it shrinks included.

    Args:
        image: (H, W) or (H, W, C). uint8 is rounded and clipped after each of the two passes, which reproduces MATLAB's
            pictures bit for bit; floating point is computed in float64 and not clipped.
        scale: factor per side; the output has ``ceil(scale * H)`` by ``ceil(scale * W)`` pixels.
        size: height and width of the output, instead of `scale`.

    Returns:
        The resized image, uint8 for uint8, else float64.

    Raises:
        ValueError: neither or both of `scale` and `size`, a size that is not positive, or another number of dimensions.

    Example:
        >>> imresize(np.zeros((5, 7, 3), np.uint8), 2).shape
        (10, 14, 3)
    """
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"imresize: an image of shape {pixels.shape}; give (H, W) or (H, W, C)")
    if (scale is None) == (size is None) or (size is not None and len(size) != 2):
        raise ValueError("imresize: give either scale, or size as (height, width)")
    if scale is not None and not 0 < scale < math.inf:
        raise ValueError(f"imresize: scale={scale} is not positive and finite; give a factor such as 2 or 0.5")
    height, width = pixels.shape[:2]
    if not pixels.size:
        raise ValueError(f"imresize: an image of shape {pixels.shape} has no pixels; give one or more")
    if size is None:
        assert scale is not None
        target, factors = (math.ceil(scale * height), math.ceil(scale * width)), (scale, scale)
    else:
        target, factors = size, (size[0] / height, size[1] / width)
    if min(target) < 1:
        raise ValueError(
            f"imresize: cannot resize {height}x{width} to {target[0]}x{target[1]}; give sides of 1 pixel or more"
        )
    result = pixels.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        indices, weights = _resize_matrix(pixels.shape[axis], target[axis], factors[axis])
        taps = np.take(result, indices, axis=axis)
        result = np.moveaxis(np.einsum("ot,ot...->o...", weights, np.moveaxis(taps, (axis, axis + 1), (0, 1))), 0, axis)
        if pixels.dtype == np.uint8:
            result = np.clip(np.floor(result + 0.5), 0, 255)
    return result.astype(np.uint8) if pixels.dtype == np.uint8 else result


def reduced_pair(image: ArrayLike, scale: int) -> tuple[Image, Image]:
    """Crop an image to a multiple of `scale` and reduce it by `scale` with `imresize`.

    Args:
        image: (H, W) or (H, W, C), as `imresize` takes it.
        scale: the reduction per side.

    Returns:
        Low and high resolution.

    Raises:
        ValueError: the image is smaller than `scale`.

    Example:
        >>> [picture.shape for picture in reduced_pair(np.zeros((11, 7)), 2)]
        [(5, 3), (10, 6)]
    """
    pixels = np.asarray(image)
    if min(pixels.shape[:2]) < scale:
        raise ValueError(
            f"an image of shape {pixels.shape} is smaller than the scale {scale} that reduces it; leave it out"
        )
    height, width = (side // scale * scale for side in pixels.shape[:2])
    high = pixels[:height, :width]
    return imresize(high, 1 / scale), high


def rgb_to_ycbcr(rgb: ArrayLike) -> NDArray[np.float64]:
    """Convert RGB to studio-range YCbCr (ITU-R BT.601), both in [0, 1] of full scale and not rounded.

    Args:
        rgb: (..., 3); uint8 is taken as 0..255, floating point as [0, 1].

    Returns:
        (..., 3) float64: Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255.

    Raises:
        ValueError: not three channels, or another kind of numbers.

    Example:
        >>> (rgb_to_ycbcr([1.0, 1.0, 1.0]) * 255).round(6)
        array([235., 128., 128.])
    """
    pixels = np.asarray(rgb)
    if pixels.shape[-1:] != (3,) or not (pixels.dtype == np.uint8 or np.issubdtype(pixels.dtype, np.floating)):
        raise ValueError(
            f"rgb_to_ycbcr: {pixels.dtype} of shape {pixels.shape}; give (..., 3) as uint8 or floating point in [0, 1]"
        )
    unit = pixels / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float64)
    return unit @ RGB_TO_YCBCR.T + YCBCR_OFFSET


def ycbcr_to_rgb(ycbcr: ArrayLike) -> NDArray[np.float64]:
    """Invert `rgb_to_ycbcr`; values in [0, 1] of full scale, neither rounded nor clipped.

    Example:
        >>> ycbcr_to_rgb(rgb_to_ycbcr([0.2, 0.4, 0.6])).round(6)
        array([0.2, 0.4, 0.6])
    """
    return (np.asarray(ycbcr, np.float64) - YCBCR_OFFSET) @ np.linalg.inv(RGB_TO_YCBCR).T


def rgb_to_y(rgb: ArrayLike) -> NDArray[np.float64]:
    """Give the luma of an RGB image as published evaluations do: studio range, 16/255..235/255, not rounded.

    Args:
        rgb: (..., 3); uint8 is taken as 0..255, floating point as [0, 1].

    Returns:
        (...) float64, in units of full scale.

    Example:
        >>> float(rgb_to_y(np.array([255, 255, 255], np.uint8)) * 255)
        235.0
    """
    return rgb_to_ycbcr(rgb)[..., 0]


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
