"""Cascading blocks: each step fuses the outputs of all previous steps with a 1x1 convolution."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .factories import from_factory
from .residual import ResidualBlock


class EfficientResidualBlock(nn.Module):
    """Efficient residual block: ``relu(x + conv1x1(relu(conv3x3(relu(conv3x3(x))))))`` with grouped 3x3 convolutions.

    Ahn, Kang and Sohn, *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*, ECCV 2018,
    arXiv:1803.08664, Fig. 3b.

    Args:
        channels: feature channels C.
        groups: groups of the 3x3 convolutions; must divide C.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `groups` does not divide C.

    Examples:
        >>> EfficientResidualBlock(64, groups=4)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, channels: int, *, groups: int = 4) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, groups=groups)
        self.conv2 = conv(channels, channels, groups=groups)
        self.conv3 = conv(channels, channels, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch to the features ``x``."""
        return self.act(x + self.conv3(self.act(self.conv2(self.act(self.conv1(x))))))


class CascadingBlock(CompactRepr):
    """Cascading block: a 1x1 convolution after each block fuses the input and the outputs of all blocks so far.

    Ahn, Kang and Sohn, *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*, ECCV 2018,
    arXiv:1803.08664, Fig. 2 and eq. (3) to (5). With residual blocks it is CARN's local cascade, with cascading blocks
    the global one.

    Args:
        channels: feature channels C.
        depth: number of blocks (paper: 3).
        block: factory ``channels -> module`` of one block; None for CARN's residual block.
        shared: use one block, with one set of weights, at every position (CARN-M).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as the blocks require.

    Raises:
        ValueError: ``depth < 1``.
        TypeError: `block` is a module instead of a factory.

    Examples:
        >>> CascadingBlock(64, block=CascadingBlock)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        depth: int = 3,
        block: Callable[[int], nn.Module] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"CascadingBlock: depth must be >= 1, got {depth}")
        build = partial(from_factory, "block", block or partial(ResidualBlock, out_act=nn.ReLU), channels)
        self.shared = build() if shared else None
        self.blocks = nn.ModuleList(nn.Identity() if shared else build() for _ in range(depth))
        self.fuses = nn.ModuleList(
            nn.Sequential(conv((i + 2) * channels, channels, 1), nn.ReLU()) for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run the cascade on the features ``x``."""
        features = x
        for block, fuse in zip(self.blocks, self.fuses):  # noqa: B905 (torch.jit.script has no strict=)
            if self.shared is not None:
                x = self.shared(x)
            features = torch.cat((features, block(x)), 1)
            x = fuse(features)
        return x
