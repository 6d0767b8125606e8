"""Parallel convolutions whose outputs are added."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._utils.compact_repr import CompactRepr
from ..conv import conv
from .chains import ConvChain
from .kernels import Kernel, ReparameterizedConv, added, check_identity, identity_kernel, kernel_of, normalized

EDGE_FILTERS = (
    ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0)),
    ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0)),
    ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0)),
)
"""Sobel filters in x and y, Laplace filter."""


class EdgeConv(ReparameterizedConv):
    """1x1 convolution, then a fixed edge filter with a learned scale and bias per channel.

    Zhang et al., ACM MM 2021, Fig. 2. The filters of the paper sum to zero: the bias of the 1x1 convolution then has no
    effect on the output and no gradient but rounding. It is kept because published checkpoints have it.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        edge: the 3x3 filter.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Examples:
        >>> EdgeConv(16, 16, [[0, 1, 0], [1, -4, 1], [0, 1, 0]])(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    edge: Tensor

    def __init__(self, in_channels: int, out_channels: int, edge: Sequence[Sequence[float]]) -> None:
        super().__init__(in_channels, out_channels)
        self.pointwise = conv(in_channels, out_channels, 1)
        self.scale = nn.Parameter(1e-3 * torch.randn(out_channels, 1, 1, 1))
        self.bias = nn.Parameter(1e-3 * torch.randn(out_channels))
        self.filter = [[float(value) for value in row] for row in edge]
        self.register_buffer("edge", self._exact_edge().to(torch.empty(())), persistent=False)

    def _exact_edge(self) -> Tensor:
        return torch.tensor(self.filter, dtype=torch.float64, device="cpu")[None, None]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; the filter, which no checkpoint has, is set anew."""
        super()._apply(fn, recurse)
        self.edge = self._exact_edge().to(self.edge)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Filter the features ``x``."""
        padded = self.pointwise(F.pad(x, [1, 1, 1, 1]))
        return F.conv2d(padded, self.scale * self.edge, self.bias, groups=self.out_channels)

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        weight, bias = kernel_of(self.pointwise)
        edges = self.scale * self.edge
        return edges * weight, edges.sum((1, 2, 3)) * bias + self.bias


class EdgeOrientedConv(ReparameterizedConv):
    """Edge-oriented convolution: a 3x3 convolution plus branches that filter edges.

    Zhang et al., *Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices*, ACM MM 2021,
    Fig. 2 (ECB): ``hidden=2 * out_channels``. Wang, *Edge-Enhanced Feature Distillation Network*, CVPRW 2022,
    arXiv:2204.08759, Fig. 3 (EDBB): ``hidden=out_channels, pointwise=True, identity=True``.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        hidden: channels between the 1x1 and the 3x3 convolution of the expanding branch; None for no such branch.
        pointwise: add a 1x1 convolution.
        identity: add the input; needs as many output channels as input channels.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `identity` with unequal channels.

    Examples:
        >>> EdgeOrientedConv(16, 16, hidden=32)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int | None,
        pointwise: bool = False,
        identity: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels)
        check_identity("EdgeOrientedConv", "identity", identity, in_channels, out_channels)
        self.conv = conv(in_channels, out_channels)
        branches: list[nn.Module] = [EdgeConv(in_channels, out_channels, edge) for edge in EDGE_FILTERS]
        if pointwise:
            branches.append(conv(in_channels, out_channels, 1))
        if hidden is not None:
            branches.append(ConvChain(in_channels, (hidden, out_channels), (1, 3)))
        self.branches = nn.ModuleList(branches)
        self.identity = identity

    def forward(self, x: Tensor) -> Tensor:
        """Add the branches of the features ``x``."""
        y = self.conv(x)
        for branch in self.branches:
            y = y + branch(x)
        return y + x if self.identity else y

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        layers = [each for each in (self.conv, *self.branches) if isinstance(each, nn.Conv2d | ReparameterizedConv)]
        kernels = [kernel_of(each) for each in layers]
        identity = [identity_kernel(self.in_channels, self.conv.weight)] if self.identity else []
        return added(*kernels, *identity)


class RepVGGConv(CompactRepr, ReparameterizedConv):
    """RepVGG convolution: a 3x3 convolution, a 1x1 convolution and the identity, each with its normalization.

    Ding et al., *RepVGG: Making VGG-style ConvNets Great Again*, CVPR 2021, arXiv:2101.03697, Fig. 4.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        norm: normalize each branch (paper); False for none, as super-resolution networks prefer.
        identity: add the input; None for "if the channels are equal" (paper).

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `identity` with unequal channels.

    Examples:
        >>> RepVGGConv(16, 16)(torch.rand(2, 16, 5, 7)).shape
        torch.Size([2, 16, 5, 7])
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: bool = True, identity: bool | None = None) -> None:
        super().__init__(in_channels, out_channels)
        identity = in_channels == out_channels if identity is None else identity
        check_identity("RepVGGConv", "identity", identity, in_channels, out_channels)
        branches = [conv(in_channels, out_channels, size, bias=not norm) for size in (3, 1)]
        self.branches = nn.ModuleList(branches)
        self.norms = nn.ModuleList(nn.BatchNorm2d(out_channels) if norm else nn.Identity() for _ in branches)
        self.identity = identity
        self.identity_norm = nn.BatchNorm2d(in_channels) if norm and identity else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add the branches of the features ``x``."""
        outputs = [norm(branch(x)) for branch, norm in zip(self.branches, self.norms)]  # noqa: B905 (torch.jit.script)
        y = outputs[0] + outputs[1]
        return y + self.identity_norm(x) if self.identity else y

    def kernel(self) -> Kernel:
        """Return weight and bias of the equal convolution."""
        layers = list(zip(self.branches, self.norms, strict=True))
        kernels = [
            normalized(kernel_of(branch), norm) if isinstance(norm, nn.BatchNorm2d) else kernel_of(branch)
            for branch, norm in layers
            if isinstance(branch, nn.Conv2d)
        ]
        if self.identity:
            own = identity_kernel(self.in_channels, kernels[0][0])
            norm = self.identity_norm
            kernels.append(normalized(own, norm) if isinstance(norm, nn.BatchNorm2d) else own)
        return added(*kernels)
