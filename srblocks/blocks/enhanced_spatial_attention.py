"""Enhanced spatial attention: a gate computed on a coarse grid, cheap enough for every block of a small network."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import conv
from .factories import Activation, activation, from_factory


class EnhancedSpatialAttention(nn.Module):
    """Enhanced spatial attention (ESA): ``x * sigmoid(expand(resize(coarse(pool(stride(q)))) + skip(q)))``.

    Liu et al., *Residual Feature Aggregation Network for Image Super-Resolution*, CVPR 2020, section 3.3, with
    ``q = reduce(x)``, in the form of RFDN (Liu et al., ECCVW 2020, arXiv:2009.11551). The coarse grid has
    ``(n - 3) // 6 - 1`` cells for n pixels and is stretched over the image, so that the gate at a pixel depends on the
    size of the image: tiles are never exact.

    Args:
        channels: feature channels C.
        hidden: channels of the gate; None for ``C // 4``.
        depth: convolutions on the coarse grid (RFDN: 3, RLFN: 1).
        act: name or factory of the activation between them.
        layer: factory ``in_channels, out_channels -> module`` of these convolutions.
        strided: factory ``in_channels, out_channels -> module`` of the convolution with stride 2; None for a 3x3
            convolution without padding.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= `min_size` = 15. The receptive field is global.

    Raises:
        ValueError: ``depth < 1``.

    Examples:
        >>> EnhancedSpatialAttention(48)(torch.rand(1, 48, 17, 23)).shape
        torch.Size([1, 48, 17, 23])
    """

    min_size = 15
    """Smallest H and W, which have a single cell."""

    dynamic_min_size = 21
    """Smallest H and W of programs with dynamic sizes: torch.export compiles sides of a single cell separately."""

    def __init__(
        self,
        channels: int,
        *,
        hidden: int | None = None,
        depth: int = 3,
        act: Activation = nn.ReLU,
        layer: Callable[[int, int], nn.Module] = conv,
        strided: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"EnhancedSpatialAttention: depth must be >= 1, got {depth}")
        hidden = max(1, channels // 4) if hidden is None else hidden
        self.reduce = conv(channels, hidden, 1)
        self.stride = from_factory("strided", strided or partial(nn.Conv2d, kernel_size=3, stride=2), hidden, hidden)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [activation(act), from_factory("layer", layer, hidden, hidden)]
        self.coarse = nn.Sequential(*layers[1:])
        self.skip = conv(hidden, hidden, 1)
        self.expand = conv(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their gate."""
        reduced = self.reduce(x)
        cells = self.coarse(F.max_pool2d(self.stride(reduced), 7, stride=3))
        gate = F.interpolate(cells, size=[x.shape[2], x.shape[3]], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.expand(gate + self.skip(reduced)))
