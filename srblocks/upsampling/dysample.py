"""Upsampling by learned sampling positions."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.compact_repr import CompactRepr
from ..blocks.conv import conv


def start_positions(scale: int, groups: int) -> Tensor:
    """Return the positions without offsets: x and y of each subpixel relative to its pixel, for every group.

    Args:
        scale: scale factor.
        groups: groups of channels.

    Returns:
        Positions (1, 2 * groups * scale**2, 1, 1) in input pixels, float64, on the CPU.
    """
    steps = torch.arange(scale, dtype=torch.float64, device="cpu")
    steps = (steps - (scale - 1) / 2) / scale
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x, y))[:, None].repeat(1, groups, 1, 1).reshape(1, -1, 1, 1)


class DySample(CompactRepr):
    """DySample: each output pixel samples the features at a position that the features themselves determine.

    Liu et al., *Learning to Upsample by Learning to Sample*, ICCV 2023, arXiv:2308.15085, section 3.2, in the form of
    RealPLKSR: bilinear sampling of ``out_channels * scale**2`` channels in groups, then a 1x1 convolution unless the
    scale is 1. Positions are unbounded, so that the receptive field is global.

    Args:
        channels: input channels C.
        scale: scale factor, an integer >= 1.
        out_channels: output channels; at scale 1, those of the input.
        groups: groups of channels with a position each; None for 4 at even scales and 3 at odd ones.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is below 1, `groups` does not divide the channels, or scale 1 would change the channels.

    Examples:
        >>> DySample(12, 2, out_channels=3)(torch.rand(1, 12, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    unbounded = True
    """The receptive field is global, whatever a measurement finds."""

    start: Tensor

    def __init__(self, channels: int, scale: int, *, out_channels: int, groups: int | None = None) -> None:
        super().__init__()
        groups = (3 if scale % 2 else 4) if groups is None else groups
        if scale < 1 or groups < 1 or channels % groups:
            raise ValueError(
                f"DySample: scale must be >= 1 and groups must divide the channels, got scale={scale}, "
                f"groups={groups}, channels={channels}"
            )
        if scale == 1 and out_channels != channels:
            raise ValueError(f"DySample: out_channels must be channels={channels} at scale 1, got {out_channels}")
        self.scale = scale
        self.groups = groups
        self.offset = conv(channels, 2 * groups * scale**2, 1)
        self.scope = conv(channels, 2 * groups * scale**2, 1, bias=False)
        self.end = conv(channels, out_channels, 1) if scale > 1 else nn.Identity()
        nn.init.normal_(self.offset.weight, std=1e-3)
        nn.init.zeros_(self.scope.weight)
        self.register_buffer("start", start_positions(scale, groups).to(torch.empty(())), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; the positions are rounded from float64 each time, so earlier casts lose no precision."""
        super()._apply(fn, recurse)
        self.start = start_positions(self.scale, self.groups).to(self.start)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        n, c, h, w = x.shape
        offsets = self.offset(x) * torch.sigmoid(self.scope(x)) * 0.5 + self.start
        offsets = F.pixel_shuffle(offsets, self.scale).reshape(n, 2, self.groups, self.scale * h, self.scale * w)
        rows = torch.arange(self.scale * h, device=x.device).div(self.scale, rounding_mode="floor").to(x.dtype)
        columns = torch.arange(self.scale * w, device=x.device).div(self.scale, rounding_mode="floor").to(x.dtype)
        across = (columns + 0.5 + offsets[:, 0]) * (2 / w) - 1
        down = (rows[:, None] + 0.5 + offsets[:, 1]) * (2 / h) - 1
        grid = torch.stack((across, down), -1).reshape(n * self.groups, self.scale * h, self.scale * w, 2)
        features = x.reshape(n * self.groups, c // self.groups, h, w)
        sampled = F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return self.end(sampled.reshape(n, c, self.scale * h, self.scale * w))

    def extra_repr(self) -> str:
        """Return the scale factor and the groups."""
        return f"scale={self.scale}, groups={self.groups}"
