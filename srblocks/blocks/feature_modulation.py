"""Spatially-adaptive feature modulation: features scaled by maxima of their surroundings at several sizes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import conv


class ReducedMax(nn.Module):
    """Adaptive max pooling to ``H // factor`` x ``W // factor``, as in SAFMN (Sun et al., ICCV 2023, arXiv:2302.13800).

    The windows of torch's ``adaptive_max_pool2d``, which are unequal where the sides are not multiples of the factor,
    by indices of rows and columns: exports keep dynamic sizes.

    Args:
        factor: reduction of each side.

    Shape:
        ``(N, C, H, W) -> (N, C, H // factor, W // factor)``, H, W >= `factor`.

    Examples:
        >>> x = torch.rand(1, 2, 17, 23)
        >>> torch.equal(ReducedMax(8)(x), F.adaptive_max_pool2d(x, (2, 2)))
        True
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.dynamic_min_size = 2 * factor

    def forward(self, x: Tensor) -> Tensor:
        """Reduce the features ``x``."""
        taps = 2 * self.factor - 1
        x = F.max_pool2d(x.index_select(2, self._taps(x.shape[2], x)), [taps, 1])
        return F.max_pool2d(x.index_select(3, self._taps(x.shape[3], x)), [1, taps])

    def _taps(self, size: int, like: Tensor) -> Tensor:
        """Return the pixels of every window, the last one repeated in shorter windows."""
        cells = size // self.factor
        cell = torch.arange(cells, device=like.device)
        start = torch.div(cell * size, cells, rounding_mode="floor")
        last = torch.div((cell + 1) * size + cells - 1, cells, rounding_mode="floor") - 1
        taps = start[:, None] + torch.arange(2 * self.factor - 1, device=like.device)
        return torch.minimum(taps, last[:, None]).flatten()

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"factor={self.factor}"


def _nearest(x: Tensor, height: int, width: int) -> Tensor:
    """Return ``x`` resized with nearest-neighbor interpolation, by indices of rows and columns."""
    rows = torch.div(torch.arange(height, device=x.device) * x.shape[2], height, rounding_mode="floor")
    columns = torch.div(torch.arange(width, device=x.device) * x.shape[3], width, rounding_mode="floor")
    return x.index_select(2, rows).index_select(3, columns)


class FeatureModulation(nn.Module):
    """Spatially-adaptive feature modulation (SAFM): ``x * gelu(fuse(concat(levels)))``.

    Sun et al., *Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution*, ICCV 2023,
    arXiv:2302.13800, Fig. 3. Each of four levels filters a quarter of the channels, reduced by 1, 2, 4 and 8.

    Args:
        channels: feature channels C, a multiple of 4.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= 8. The windows depend on the size of the image.

    Raises:
        ValueError: `channels` is not a multiple of 4.

    Examples:
        >>> FeatureModulation(36)(torch.rand(1, 36, 17, 23)).shape
        torch.Size([1, 36, 17, 23])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"FeatureModulation: channels must be a multiple of 4, got {channels}")
        part = channels // 4
        self.filters = nn.ModuleList(conv(part, part, groups=part) for _ in range(4))
        self.pools = nn.ModuleList(ReducedMax(2**level) for level in (1, 2, 3))
        self.fuse = conv(channels, channels, 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Modulate the features ``x``."""
        parts = x.chunk(4, 1)
        levels = [parts[0]]
        for i, pool in enumerate(self.pools):
            levels.append(pool(parts[i + 1]))
        filtered: list[Tensor] = []
        for i, layer in enumerate(self.filters):
            level = layer(levels[i])
            filtered.append(level if i == 0 else _nearest(level, x.shape[2], x.shape[3]))
        return x * self.act(self.fuse(torch.cat(filtered, 1)))


class SimpleFeatureModulation(nn.Module):
    """Feature modulation of SAFMN++: some of the channels, scaled by their maxima in windows of 8 x 8 pixels.

    NTIRE 2024 report on efficient super-resolution, arXiv:2404.10343. No convolution has a bias.

    Args:
        channels: feature channels C.
        modulated: channels that are modulated; None for a third.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= 8. The windows depend on the size of the image.

    Examples:
        >>> SimpleFeatureModulation(36)(torch.rand(1, 36, 17, 23)).shape
        torch.Size([1, 36, 17, 23])
    """

    def __init__(self, channels: int, *, modulated: int | None = None) -> None:
        super().__init__()
        modulated = channels // 3 if modulated is None else modulated
        self.sizes = [modulated, channels - modulated]
        self.project = conv(channels, channels, bias=False)
        self.pool = ReducedMax(8)
        self.filter = conv(modulated, modulated, bias=False, groups=modulated)
        self.act = nn.GELU()
        self.fuse = conv(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Modulate the features ``x``."""
        modulated, rest = self.project(x).split(self.sizes, 1)
        reduced = self.filter(self.pool(modulated))
        gate = F.interpolate(reduced, size=[x.shape[2], x.shape[3]], mode="bilinear", align_corners=False)
        return self.fuse(self.act(torch.cat((rest, self.act(gate) * modulated), 1)))
