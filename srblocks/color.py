"""Networks on luma or YCbCr for users of RGB images."""

from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .network import Network, require_network
from .upsampling import InterpolateUp

RGB_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
YCBCR_OFFSET = np.array([16.0, 128.0, 128.0]) / 255
"""RGB to studio-range YCbCr (ITU-R BT.601), in units of full scale."""

FULL_RANGE = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""RGB to full-range YCbCr (ITU-R BT.601 as in JPEG, ITU-T T.871)."""

FULL_RANGE_OFFSET = np.array([0.0, 128.0, 128.0]) / 255


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


class _ColorTransform(nn.Module):
    """An affine map of the channels of an image, a fixed 1x1 convolution; exact in every dtype."""

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
        """Convert the module; the constants come from float64 each time, so that no earlier cast costs precision."""
        super()._apply(fn, recurse)
        weight, bias = self._exact()
        self.weight, self.bias = weight.to(self.weight), bias.to(self.bias)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


def _both_ways(matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> tuple[nn.Module, nn.Module]:
    """Give the transform and its inverse."""
    inverse: NDArray[np.float64] = np.linalg.inv(matrix).astype(np.float64)
    return _ColorTransform(matrix, offset), _ColorTransform(inverse, -inverse @ offset)


def _follow(wrapped: Network, net: Network) -> None:
    """Give the whole the precision, the device and the mode of the network inside, and what made that."""
    wrapped.rewrites = net.rewrites
    for tensor in chain(net.parameters(), net.buffers()):
        if tensor.is_floating_point():
            wrapped.to(device=tensor.device, dtype=tensor.dtype)
            break
    wrapped.train(net.training)


class OnLuma(Network):
    """A network on luma, for RGB images.

    RGB is converted to studio-range YCbCr (ITU-R BT.601); the network enlarges Y, MATLAB's bicubic interpolation Cb
    and Cr, as in the evaluations of Dong et al., TPAMI 2016, arXiv:1501.00092, section 4.2; back to RGB. One module,
    which exports like any network.

    Args:
        net: a network with one image channel.

    Shape:
        ``(N, 3, H, W) -> (N, 3, scale * H, scale * W)``, RGB in [0, 1]; sizes as those of `net`, and H, W >= 2 above
        scale 1.

    Raises:
        ValueError: `net` has other than one channel.

    Example:
        >>> from srblocks import load_pretrained
        >>> OnLuma(load_pretrained("fsrcnn", scale=2))(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """

    def __init__(self, net: Network) -> None:
        if net.image_channels != 1:
            raise ValueError(f"OnLuma: a network with image_channels={net.image_channels}; give one on luma")
        chroma = InterpolateUp(2, net.scale)
        smallest = max(net.min_size, chroma.min_size)
        super().__init__(
            scale=net.scale,
            image_channels=3,
            min_size=-(-smallest // net.size_multiple) * net.size_multiple,
            size_multiple=net.size_multiple,
        )
        self.scales = net.scales
        self.net = net
        self.chroma = chroma
        self.from_rgb, self.to_rgb = _both_ways(RGB_TO_YCBCR, YCBCR_OFFSET)
        _follow(self, net)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the RGB images ``lr``."""
        ycbcr = self.from_rgb(lr)
        return self.to_rgb(torch.cat((self.net(ycbcr[:, :1]), self.chroma(ycbcr[:, 1:])), 1))

    def at_scale(self, scale: int) -> "OnLuma":
        """Give the network of one scale alone, see `Network.at_scale`."""
        return OnLuma(self.net.at_scale(scale))


class OnYCbCr(Network):
    """A network on three channels of full-range YCbCr, for RGB images.

    Args:
        net: a network with ``color="ycbcr"``.

    Shape:
        ``(N, 3, H, W) -> (N, 3, scale * H, scale * W)``, RGB in [0, 1]; sizes as those of `net`.

    Raises:
        ValueError: `net` works on something else.
    """

    def __init__(self, net: Network) -> None:
        if net.color != "ycbcr":
            raise ValueError(f"OnYCbCr: a network on {net.color}; give one on ycbcr")
        super().__init__(
            scale=net.scale, image_channels=3, min_size=net.min_size, size_multiple=net.size_multiple, color="rgb"
        )
        self.scales = net.scales
        self.net = net
        self.from_rgb, self.to_rgb = _both_ways(FULL_RANGE, FULL_RANGE_OFFSET)
        _follow(self, net)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge the RGB images ``lr``."""
        return self.to_rgb(self.net(self.from_rgb(lr)))

    def at_scale(self, scale: int) -> "OnYCbCr":
        """Give the network of one scale alone, see `Network.at_scale`."""
        return OnYCbCr(self.net.at_scale(scale))


def on_rgb(net: Network) -> Network:
    """Give a network for RGB images: `net` itself, or in `OnLuma` or `OnYCbCr` as its color asks.

    Raises:
        ValueError: `net` works on something else.
        TypeError: `net` is no `Network`.
    """
    require_network(net, "on_rgb")
    if net.color == "rgb":
        return net
    if net.color not in ("y", "ycbcr"):
        raise ValueError(f"on_rgb: a network on {net.image_channels} channels of {net.color}; give one on y or ycbcr")
    return OnLuma(net) if net.color == "y" else OnYCbCr(net)
