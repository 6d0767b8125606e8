"""Convolutions that keep the size of their input."""

from torch import nn


def conv(in_channels: int, out_channels: int, kernel_size: int = 3, *, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """Zero-padded convolution with stride 1 that keeps height and width.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel, odd.
        bias: add a learned bias.
        groups: groups of the convolution; divides both channel counts.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: ``kernel_size`` is even, so that no symmetric padding keeps the size, or no channels are left.

    Example:
        >>> conv(3, 64, 9)
        Conv2d(3, 64, kernel_size=(9, 9), stride=(1, 1), padding=(4, 4))
    """
    if in_channels < 1 or out_channels < 1:
        raise ValueError(f"conv: {in_channels} to {out_channels} channels; use 1 or more")
    if kernel_size % 2 == 0:
        raise ValueError(f"conv: kernel_size={kernel_size} is even; a convolution that keeps the size needs an odd one")
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias, groups=groups)
