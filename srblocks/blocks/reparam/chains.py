"""Chains of convolutions without activations between them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._utils.compact_repr import CompactRepr
from ..conv import conv
from .kernels import Kernel, ReparameterizedConv, added, chained, check_identity, identity_kernel, kernel_of, normalized


class ConvChain(ReparameterizedConv):
    """Chain of convolutions without activations between them.

    Bhardwaj et al., *Collapsible Linear Blocks for Super-Efficient Super Resolution*, MLSys 2022, arXiv:2103.09404,
    Fig. 2 (``widths=(256, out)``, ``kernel_sizes=(3, 1)``).

    Args:
        in_channels: input channels.
        widths: output channels of each convolution.
        kernel_sizes: sides of their kernels, odd; or an even number of even ones.
        skip: add the input; needs as many output channels as input channels.
        bias: add learned biases.

    Shape:
        ``(N, in_channels, H, W) -> (N, widths[-1], H, W)``, any H, W >= 1.

    Raises:
        ValueError: `widths` and `kernel_sizes` differ in length or are empty, the kernel of the equal convolution is
            even, or `skip` with unequal channels.

    Examples:
        >>> ConvChain(16, (64, 16), (3, 1), skip=True)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        kernel_sizes: Sequence[int],
        *,
        skip: bool = False,
        bias: bool = True,
    ) -> None:
        if not widths or len(widths) != len(kernel_sizes):
            raise ValueError(f"ConvChain: expected as many kernel_sizes as widths, got {kernel_sizes} and {widths}")
        super().__init__(in_channels, widths[-1], sum(kernel_sizes) - len(kernel_sizes) + 1)
        check_identity("ConvChain", "skip", skip, in_channels, widths[-1])
        channels = [in_channels, *widths]
        pairs = zip(channels[:-1], channels[1:], kernel_sizes, strict=True)
        self.convs = nn.Sequential(*(nn.Conv2d(each, out, size, bias=bias) for each, out, size in pairs))
        self.skip = skip
        self.padding = self.kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Run the chain on the features ``x``."""
        y = self.convs(F.pad(x, [self.padding, self.padding, self.padding, self.padding]))
        return y + x if self.skip else y

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        first, *others = (kernel_of(each) for each in self.convs if isinstance(each, nn.Conv2d))
        for other in others:
            first = chained(first, other)
        return added(first, identity_kernel(self.in_channels, first[0])) if self.skip else first


class Conv3XC(ReparameterizedConv):
    """Training form of SPAN's convolutions: a chain of 1x1, 3x3 and 1x1 convolutions, plus a 1x1 convolution.

    Wan et al., *Swift Parameter-free Attention Network for Efficient Super-Resolution*, CVPRW 2024, arXiv:2311.12770,
    Fig. 3.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        gain: factor of the channels inside the chain.
        bias: add learned biases.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Examples:
        >>> Conv3XC(3, 48)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 48, 5, 7])
    """

    def __init__(self, in_channels: int, out_channels: int, *, gain: int = 2, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels)
        widths = (gain * in_channels, gain * out_channels, out_channels)
        self.skip = conv(in_channels, out_channels, 1, bias=bias)
        self.chain = ConvChain(in_channels, widths, (1, 3, 1), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Add the chain and the 1x1 convolution of the features ``x``."""
        return self.chain(x) + self.skip(x)

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        return added(kernel_of(self.chain), kernel_of(self.skip))


class RRRB(ReparameterizedConv):
    """Residual in residual re-parameterizable block: 1x1, 3x3 and 1x1 convolutions inside two skip connections.

    Du et al., *Fast and Memory-Efficient Network Towards Efficient Image Super-Resolution*, CVPRW 2022,
    arXiv:2204.08397, Fig. 3.

    Args:
        channels: feature channels C.
        ratio: factor of the channels of the 3x3 convolution.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Examples:
        >>> RRRB(16)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(self, channels: int, *, ratio: int = 2) -> None:
        super().__init__(channels, channels)
        hidden = ratio * channels
        self.expand = conv(channels, hidden, 1)
        self.conv = nn.Conv2d(hidden, hidden, 3)
        self.reduce = conv(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run the convolutions and skip connections on the features ``x``."""
        expanded = self.expand(F.pad(x, [1, 1, 1, 1]))
        return x + self.reduce(self.conv(expanded) + expanded[:, :, 1:-1, 1:-1])

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        inner = added(kernel_of(self.conv), identity_kernel(self.conv.in_channels, self.conv.weight))
        branch = chained(chained(kernel_of(self.expand), inner), kernel_of(self.reduce))
        return added(branch, identity_kernel(self.in_channels, self.conv.weight))


class NormedConv(CompactRepr, ReparameterizedConv):
    """3x3 convolution between batch normalizations, padded with what the first one makes of zero.

    The ends of FMEN's attention branches in training (Du et al., CVPRW 2022, arXiv:2204.08397, Fig. 2). The frame comes
    from the running statistics, in training, too.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        after: normalize the output, too.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Examples:
        >>> NormedConv(16, 8, after=True)(torch.rand(2, 16, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """

    def __init__(self, in_channels: int, out_channels: int, *, after: bool = False) -> None:
        super().__init__(in_channels, out_channels)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 3)
        self.norm2 = nn.BatchNorm2d(out_channels) if after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and convolve the features ``x``."""
        mean, variance = self.norm1.running_mean, self.norm1.running_var
        assert mean is not None and variance is not None
        gain = self.norm1.weight / torch.sqrt(variance + self.norm1.eps)
        frame = (self.norm1.bias - mean * gain)[None, :, None, None]
        framed = F.pad(self.norm1(x) - frame, [1, 1, 1, 1]) + frame
        return self.norm2(self.conv(framed))

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        before = normalized(identity_kernel(self.in_channels, self.conv.weight), self.norm1)
        kernel = chained(before, kernel_of(self.conv))
        return normalized(kernel, self.norm2) if isinstance(self.norm2, nn.BatchNorm2d) else kernel
