"""Pixel attention: a gate for every channel of every pixel, computed by a convolution."""

from functools import partial

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .factories import Activation, activation


class PixelAttention(nn.Module):
    """Pixel attention: ``x * sigmoid(conv(x))``.

    Zhao et al., *Efficient Image Super-Resolution Using Pixel Attention*, ECCVW 2020, arXiv:2010.01073, Fig. 2 (1x1);
    the element-wise attention of PLKSR (Lee et al., arXiv:2404.11848, Fig. 3) is 3x3.

    Args:
        channels: feature channels C.
        kernel_size: side of the kernel, odd.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Examples:
        >>> PixelAttention(24)(torch.rand(1, 24, 5, 7)).shape
        torch.Size([1, 24, 5, 7])
    """

    def __init__(self, channels: int, *, kernel_size: int = 1) -> None:
        super().__init__()
        self.conv = conv(channels, channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their gates."""
        return x * torch.sigmoid(self.conv(x))


class SCPA(CompactRepr):
    """Self-calibrated block with pixel attention: two branches of half the channels, one of them gated.

    Zhao et al., ECCVW 2020, arXiv:2010.01073, Fig. 3: ``x + fuse(concat(a, b))``. No convolution but that of the gate
    has a bias.

    Args:
        channels: feature channels C, even.
        act: name or factory of the activation.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `channels` is odd.

    Examples:
        >>> SCPA(40)(torch.rand(1, 40, 5, 7)).shape
        torch.Size([1, 40, 5, 7])
    """

    def __init__(self, channels: int, *, act: Activation = partial(nn.LeakyReLU, 0.2)) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"SCPA: channels must be even, got {channels}")
        half = channels // 2
        plain = partial(conv, half, half, bias=False)
        self.reduce_a = conv(channels, half, 1, bias=False)
        self.reduce_b = conv(channels, half, 1, bias=False)
        self.conv_a = plain()
        self.gate = conv(half, half, 1)
        self.conv_b1 = plain()
        self.conv_b2 = plain()
        self.act = activation(act)
        self.fuse = conv(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        a = self.act(self.conv_a(self.act(self.reduce_a(x))))
        b = self.act(self.reduce_b(x))
        b = self.act(self.conv_b2(self.conv_b1(b) * torch.sigmoid(self.gate(b))))
        return x + self.fuse(torch.cat((a, b), 1))
