"""Downscaling without loss: pixels become channels."""

from torch import nn

from ..blocks.conv import conv


class PixelUnshuffleDown(nn.Sequential):
    """Pixel unshuffle and a convolution: ``factor**2`` times the channels at ``1 / factor`` of the size.

    The head of Real-ESRGAN at x2 and x1 (Wang et al., ICCVW 2021, arXiv:2107.10833, section 4.2), whose body works at
    the resolution of x4. Inverse of the pixel shuffle in `PixelShuffleUp`.

    Args:
        channels: input channels C.
        factor: downscaling factor; 1 is a single convolution.
        out_channels: output channels.
        kernel_size: side of the kernel, odd.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, H / factor, W / factor)``, H and W multiples of `factor`.

    Raises:
        ValueError: ``factor < 1``.

    Examples:
        >>> PixelUnshuffleDown(3, 2, out_channels=64)(torch.rand(1, 3, 6, 8)).shape
        torch.Size([1, 64, 3, 4])
    """

    def __init__(self, channels: int, factor: int, *, out_channels: int, kernel_size: int = 3) -> None:
        if factor < 1:
            raise ValueError(f"PixelUnshuffleDown: factor must be >= 1, got {factor}")
        layer = conv(channels * factor**2, out_channels, kernel_size)
        super().__init__(*([] if factor == 1 else [nn.PixelUnshuffle(factor)]), layer)
