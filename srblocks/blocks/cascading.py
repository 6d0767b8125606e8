"""Cascades: every step sees the outputs of all steps before it through a 1x1 convolution."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .conv import conv
from .residual import ResidualBlock


class EfficientResidualBlock(nn.Module):
    """Two grouped convolutions and a pointwise one, added to the input: ``relu(x + 1x1(relu(3x3(relu(3x3(x))))))``.

    Ahn, Kang and Sohn, *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*, ECCV 2018,
    arXiv:1803.08664, Fig. 3b.

    Args:
        channels: feature channels C, unchanged by the block.
        groups: groups of the 3x3 convolutions; divides C.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `groups` does not divide C.

    Example:
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


class CascadingBlock(nn.Module):
    """Blocks in a row, each behind a 1x1 convolution and ReLU over the input and the outputs of all blocks so far.

    Ahn, Kang and Sohn, *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*, ECCV 2018,
    arXiv:1803.08664, Fig. 2 and eq. (3) to (5). With residual blocks it is the local cascade, with cascading blocks
    the global one.

    Args:
        channels: feature channels C, unchanged by the block.
        depth: number of blocks (paper: 3).
        block: factory ``channels -> module`` of one block; None for CARN's residual block.
        shared: one block with one set of weights stands at every position (CARN-M).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; sizes as the blocks take them.

    Raises:
        ValueError: no block.

    Example:
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
            raise ValueError(f"CascadingBlock: depth={depth}; use 1 block or more")
        block = block or partial(ResidualBlock, out_act=nn.ReLU)
        self.shared = block(channels) if shared else None
        self.blocks = nn.ModuleList(nn.Identity() if shared else block(channels) for _ in range(depth))
        self.fuses = nn.ModuleList(
            nn.Sequential(conv((i + 2) * channels, channels, 1), nn.ReLU()) for i in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Cascade over the features ``x``."""
        seen = x
        for block, fuse in zip(self.blocks, self.fuses):  # noqa: B905 (torch.jit.script knows no strict=)
            if self.shared is not None:
                x = self.shared(x)
            seen = torch.cat((seen, block(x)), 1)
            x = fuse(seen)
        return x
