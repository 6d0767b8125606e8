"""Color conversion, and wrappers that run luma and YCbCr networks on RGB images."""

from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ._utils.rounding import round_up
from .network import Network, require_network
from .upsampling import InterpolateUp

RGB_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
YCBCR_OFFSET = np.array([16.0, 128.0, 128.0]) / 255
"""RGB to studio-range YCbCr (ITU-R BT.601), in units of full scale."""

FULL_RANGE = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""RGB to full-range YCbCr (ITU-R BT.601 as in JPEG, ITU-T T.871)."""

FULL_RANGE_OFFSET = np.array([0.0, 128.0, 128.0]) / 255


def rgb_to_ycbcr(rgb: ArrayLike) -> NDArray[np.float64]:
    """Convert RGB to studio-range YCbCr (ITU-R BT.601), in units of full scale and without rounding.

    Args:
        rgb: (..., 3), uint8 in 0..255 or floating point in [0, 1].

    Returns:
        (..., 3) float64: Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255.

    Raises:
        ValueError: the last dimension is not 3, or the dtype is neither uint8 nor floating point.

    Examples:
        >>> (rgb_to_ycbcr([1.0, 1.0, 1.0]) * 255).round(6)
        array([235., 128., 128.])
    """
    pixels = np.asarray(rgb)
    if pixels.shape[-1:] != (3,) or not (pixels.dtype == np.uint8 or np.issubdtype(pixels.dtype, np.floating)):
        raise ValueError(
            "rgb_to_ycbcr: expected an image (..., 3) of uint8 or of floating point in [0, 1], got "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    unit = pixels / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float64)
    return unit @ RGB_TO_YCBCR.T + YCBCR_OFFSET


def ycbcr_to_rgb(ycbcr: ArrayLike) -> NDArray[np.float64]:
    """Convert studio-range YCbCr to RGB, the inverse of `rgb_to_ycbcr`, without rounding or clipping.

    Examples:
        >>> ycbcr_to_rgb(rgb_to_ycbcr([0.2, 0.4, 0.6])).round(6)
        array([0.2, 0.4, 0.6])
    """
    return (np.asarray(ycbcr, np.float64) - YCBCR_OFFSET) @ np.linalg.inv(RGB_TO_YCBCR).T


def rgb_to_y(rgb: ArrayLike) -> NDArray[np.float64]:
    """Return the luma of an RGB image as in published evaluations: studio range, 16/255..235/255, not rounded.

    Args:
        rgb: (..., 3), uint8 in 0..255 or floating point in [0, 1].

    Returns:
        (...) float64, in units of full scale.

    Examples:
        >>> float(rgb_to_y(np.array([255, 255, 255], np.uint8)) * 255)
        235.0
    """
    return rgb_to_ycbcr(rgb)[..., 0]


class _ColorTransform(nn.Module):
    """Fixed affine map of the channels (a 1x1 convolution) with exactly rounded constants in every dtype."""

    def __init__(self, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> None:
        super().__init__()
        self.matrix = [[float(value) for value in row] for row in matrix]
        self.offset = [float(value) for value in offset]
        weight, bias = self._exact()
        self.register_buffer("weight", weight.float(), persistent=False)
        self.register_buffer("bias", bias.float(), persistent=False)

    def _exact(self) -> tuple[Tensor, Tensor]:
        weight = torch.tensor(self.matrix, dtype=torch.float64, device="cpu")
        return weight[:, :, None, None], torch.tensor(self.offset, dtype=torch.float64, device="cpu")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; constants are always cast from float64, so that precision never degrades."""
        super()._apply(fn, recurse)
        weight, bias = self._exact()
        self.weight, self.bias = weight.to(self.weight), bias.to(self.bias)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


def _both_ways(matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> tuple[nn.Module, nn.Module]:
    """Return the transform and its inverse."""
    inverse: NDArray[np.float64] = np.linalg.inv(matrix).astype(np.float64)
    return _ColorTransform(matrix, offset), _ColorTransform(inverse, -inverse @ offset)


def _follow(wrapped: Network, net: Network) -> None:
    """Copy dtype, device, mode and rewrites of the wrapped network to the wrapper."""
    wrapped.rewrites = net.rewrites
    for tensor in chain(net.parameters(), net.buffers()):
        if tensor.is_floating_point():
            wrapped.to(device=tensor.device, dtype=tensor.dtype)
            break
    wrapped.train(net.training)


class OnLuma(Network):
    """Luma network for RGB images.

    RGB is converted to studio-range YCbCr (ITU-R BT.601). The network upscales Y and MATLAB's bicubic interpolation
    upscales Cb and Cr, as in the evaluations of Dong et al., TPAMI 2016, arXiv:1501.00092, section 4.2. The result is
    converted back to RGB. The module can be exported like any network.

    Args:
        net: a network with one image channel.

    Shape:
        ``(N, 3, H, W) -> (N, 3, scale * H, scale * W)``, RGB in [0, 1]; size requirements of `net`, and H, W >= 2 for
        scales above 1.

    Raises:
        ValueError: `net` does not have one image channel.

    Examples:
        >>> from srblocks import load_pretrained
        >>> OnLuma(load_pretrained("fsrcnn", scale=2))(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """

    def __init__(self, net: Network) -> None:
        if net.image_channels != 1:
            raise ValueError(f"OnLuma: expected a network with image_channels=1, got {net.image_channels}")
        chroma = InterpolateUp(2, net.scale)
        smallest = max(net.min_size, chroma.min_size)
        super().__init__(
            scale=net.scale,
            image_channels=3,
            min_size=round_up(smallest, net.size_multiple),
            size_multiple=net.size_multiple,
        )
        self.scales = net.scales
        self.net = net
        self.chroma = chroma
        self.from_rgb, self.to_rgb = _both_ways(RGB_TO_YCBCR, YCBCR_OFFSET)
        _follow(self, net)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the RGB images ``lr``."""
        ycbcr = self.from_rgb(lr)
        return self.to_rgb(torch.cat((self.net(ycbcr[:, :1]), self.chroma(ycbcr[:, 1:])), 1))

    def at_scale(self, scale: int) -> "OnLuma":
        """Return the network of a single scale, see `Network.at_scale`."""
        return OnLuma(self.net.at_scale(scale))


class OnYCbCr(Network):
    """YCbCr network (full range) for RGB images.

    Args:
        net: a network with ``color="ycbcr"``.

    Shape:
        ``(N, 3, H, W) -> (N, 3, scale * H, scale * W)``, RGB in [0, 1]; size requirements of `net`.

    Raises:
        ValueError: `net` has another color space.
    """

    def __init__(self, net: Network) -> None:
        if net.color != "ycbcr":
            raise ValueError(f"OnYCbCr: expected a network with color='ycbcr', got {net.color!r}")
        super().__init__(
            scale=net.scale, image_channels=3, min_size=net.min_size, size_multiple=net.size_multiple, color="rgb"
        )
        self.scales = net.scales
        self.net = net
        self.from_rgb, self.to_rgb = _both_ways(FULL_RANGE, FULL_RANGE_OFFSET)
        _follow(self, net)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the RGB images ``lr``."""
        return self.to_rgb(self.net(self.from_rgb(lr)))

    def at_scale(self, scale: int) -> "OnYCbCr":
        """Return the network of a single scale, see `Network.at_scale`."""
        return OnYCbCr(self.net.at_scale(scale))


def on_rgb(net: Network) -> Network:
    """Return a network for RGB images: `net` itself, or `net` wrapped in `OnLuma` or `OnYCbCr` according to its color.

    Raises:
        ValueError: `net` has another color space.
        TypeError: `net` is not a `Network`.
    """
    require_network(net, "on_rgb")
    if net.color == "rgb":
        return net
    if net.color not in ("y", "ycbcr"):
        raise ValueError(
            f"on_rgb: expected a network with color y, rgb or ycbcr, got {net.color} ({net.image_channels} channels)"
        )
    return OnLuma(net) if net.color == "y" else OnYCbCr(net)
