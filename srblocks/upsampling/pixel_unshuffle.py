"""Downscaling without loss: pixels become channels."""

from collections.abc import Callable

from torch import Tensor, nn

from ..blocks.conv import conv
from ..blocks.factories import from_factory


class PixelUnshuffle(nn.PixelUnshuffle):
    """`torch.nn.PixelUnshuffle` that also takes empty batches, which torch returns unchanged.

    The inverse of the sub-pixel shuffle of Shi et al., CVPR 2016, arXiv:1609.05158.

    Args:
        downscale_factor: downscaling factor r.

    Shape:
        ``(N, C, H, W) -> (N, C * r**2, H / r, W / r)``, H and W multiples of r.

    Examples:
        >>> PixelUnshuffle(2)(torch.rand(0, 3, 6, 8)).shape
        torch.Size([0, 12, 3, 4])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__(downscale_factor)
        self.dynamic_min_size = 2 * downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Rearrange the pixels of the image or features ``input``."""
        r = self.downscale_factor
        n, c, h, w = input.shape
        pixels = input.reshape(n, c, h // r, r, w // r, r).permute(0, 1, 3, 5, 2, 4)
        return pixels.reshape(n, c * r * r, h // r, w // r)


class PixelUnshuffleDown(nn.Sequential):
    """Pixel unshuffle and a convolution: ``factor**2`` times the channels at ``1 / factor`` of the size.

    The head of Real-ESRGAN at x2 and x1 (Wang et al., ICCVW 2021, arXiv:2107.10833, section 4.2), whose body works at
    the resolution of x4. The pixel unshuffle is the inverse of the pixel shuffle in `PixelShuffleUp`.

    Args:
        channels: input channels C.
        factor: downscaling factor; 1 is a single convolution.
        out_channels: output channels.
        layer: factory ``in_channels, out_channels -> module`` of the convolution.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, H / factor, W / factor)``, H and W multiples of `factor`.

    Raises:
        ValueError: ``factor < 1``.

    Examples:
        >>> PixelUnshuffleDown(3, 2, out_channels=64)(torch.rand(1, 3, 6, 8)).shape
        torch.Size([1, 64, 3, 4])
    """

    def __init__(
        self, channels: int, factor: int, *, out_channels: int, layer: Callable[[int, int], nn.Module] = conv
    ) -> None:
        if factor < 1:
            raise ValueError(f"PixelUnshuffleDown: factor must be >= 1, got {factor}")
        convolution = from_factory("layer", layer, channels * factor**2, out_channels)
        super().__init__(*([] if factor == 1 else [PixelUnshuffle(factor)]), convolution)
