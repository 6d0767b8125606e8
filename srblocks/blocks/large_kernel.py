"""Large kernels on some of the channels."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .normalization import LayerNorm2d
from .pixel_attention import PixelAttention


class _Mish(nn.Module):
    """Mish activation, ``x * tanh(softplus(x))``, of elementary operations, which every runtime has."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tanh(F.softplus(x))


class PartialConv(nn.Module):
    """Partial convolution: a convolution of the first channels; the others are unchanged.

    Chen et al., *Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks*, CVPR 2023, arXiv:2303.03667, with
    the large kernels of PLKSR (Lee et al., arXiv:2404.11848, section 3.2).

    Args:
        channels: feature channels C.
        convolved: channels that are convolved.
        kernel_size: side of the kernel, odd.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `convolved` is below 1 or exceeds `channels`.

    Examples:
        >>> PartialConv(64, 16, 17)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 64, 5, 7])
    """

    def __init__(self, channels: int, convolved: int, kernel_size: int) -> None:
        super().__init__()
        if not 1 <= convolved <= channels:
            raise ValueError(f"PartialConv: convolved must be between 1 and channels={channels}, got {convolved}")
        self.sizes = [convolved, channels - convolved]
        self.conv = conv(convolved, convolved, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve some channels of the features ``x``."""
        first, rest = x.split(self.sizes, 1)
        return torch.cat((self.conv(first), rest), 1)


class PartialLargeKernelBlock(CompactRepr):
    """Partial large-kernel block: channel mixer, `PartialConv`, element-wise attention, 1x1 convolution, and a skip.

    Lee et al., *Partial Large Kernel CNNs for Efficient Super-Resolution*, 2024, arXiv:2404.11848, Fig. 3, with a
    normalization as in RealPLKSR.

    Args:
        channels: feature channels C.
        convolved: channels with the large kernel.
        kernel_size: side of the large kernel, odd.
        attention: gate the features with `PixelAttention` of 3x3.
        norm: "layer" at the start, or "group" (4 groups) at the end, which makes the receptive field global.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `convolved` exceeds `channels`.

    Examples:
        >>> PartialLargeKernelBlock(64, convolved=16)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 64, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        convolved: int,
        kernel_size: int = 17,
        attention: bool = True,
        norm: Literal["layer", "group"] = "layer",
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels) if norm == "layer" else nn.Identity()
        self.mixer = nn.Sequential(conv(channels, 2 * channels), _Mish(), conv(2 * channels, channels))
        self.large = PartialConv(channels, convolved, kernel_size)
        self.attention = PixelAttention(channels, kernel_size=3) if attention else nn.Identity()
        self.refine = conv(channels, channels, 1)
        self.norm2 = nn.GroupNorm(4, channels) if norm == "group" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        return x + self.norm2(self.refine(self.attention(self.large(self.mixer(self.norm1(x))))))
