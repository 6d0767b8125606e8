"""Local channel attention: gates computed from the means of large windows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import conv


class LocalChannelAttention(nn.Module):
    """Local squeeze and excitation: channel gates from means of overlapping windows, one gate per cell of pixels.

    The gate of NinaSR (2021): windows of 31x31, cells of 16x16 pixels. The cells start at the top left corner of the
    image, so that the output depends on the position in the grid.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio; the hidden layer has ``channels // reduction`` channels.
        cell: side of a cell in pixels.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Examples:
        >>> LocalChannelAttention(32)(torch.rand(1, 32, 17, 40)).shape
        torch.Size([1, 32, 17, 40])
    """

    def __init__(self, channels: int, *, reduction: int = 4, cell: int = 16) -> None:
        super().__init__()
        self.cell = cell
        self.dynamic_min_size = cell + 1
        hidden = max(1, channels // reduction)
        self.squeeze = conv(channels, hidden, 1)
        self.act = nn.ReLU()
        self.excite = conv(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their gates."""
        size = self.cell
        mean = F.avg_pool2d(x, 2 * size - 1, stride=size, padding=size - 1, count_include_pad=False)
        gate = torch.sigmoid(self.excite(self.act(self.squeeze(mean))))
        rows = torch.arange(x.shape[2], device=x.device).div(size, rounding_mode="floor")
        columns = torch.arange(x.shape[3], device=x.device).div(size, rounding_mode="floor")
        return x * gate.index_select(2, rows).index_select(3, columns)
