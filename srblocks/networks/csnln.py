"""CSNLN: a recurrent cell with cross-scale non-local attention."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import DIV2K_MEAN, MultiSourceProjection, conv, normalization
from ..network import Network
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DeconvUp


def _down(channels: int, scale: int) -> nn.Module:
    kernel, padding = _window(scale)
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, stride=scale, padding=padding), nn.PReLU())


def _up(channels: int, scale: int) -> nn.Module:
    kernel, padding = _window(scale)
    return DeconvUp(channels, scale, kernel_size=kernel, padding=padding, act=nn.PReLU)


def _window(scale: int) -> tuple[int, int]:
    return (9, 3) if scale == 3 else (scale + 4, 2)


class _Projection(nn.Module):
    """Upscale, and add the upscaled error of the downscaled result."""

    def __init__(self, width: int, scale: int, total: int) -> None:
        super().__init__()
        self.enlarge = MultiSourceProjection(width, scale, up=partial(_up, scale=scale))
        self.down = _down(width, total)
        self.up = _up(width, total)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        high = self.enlarge(source)
        return high + self.up(x - self.down(high))


class SelfExemplarMining(nn.Module):
    """Self-exemplars mining cell (SEM): one projection (two at x4) and the downscaling back to low resolution.

    Mei et al., CVPR 2020, arXiv:2006.01424, Fig. 2 and eq. (7) to (10).
    """

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        first = 2 if scale == 4 else scale
        self.first = _Projection(width, first, first)
        self.second = _Projection(width, 2, 4) if scale == 4 else None
        self.back = nn.Sequential(_down(width, scale), conv(width, width), nn.PReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next low-resolution features and the high-resolution features."""
        high = self.first(x, x)
        if self.second is not None:
            high = self.second(x, high)
        return self.back(high), high


class CSNLN(Network):
    """CSNLN: cross-scale non-local network.

    Mei et al., *Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars Mining*,
    CVPR 2020, arXiv:2006.01424, Fig. 2: one cell that runs `depth` times; the output convolution receives the
    high-resolution features of all runs.

    Args:
        scale: scale factor, 2, 3 or 4.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        depth: runs of the cell (paper: 12).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; H and W
        multiples of 2 (x2, x4) or 3 (x3), and at least 4 or 6. 3,061,265 / 6,010,385 / 6,568,603 parameters at
        x2 / x3 / x4. The receptive field is global; time grows with ``(H * W) ** 2``.

    Raises:
        ValueError: another scale, ``depth < 1``, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 128,
        depth: int = 12,
        mean_shift: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if scale not in (2, 3, 4):
            raise ValueError(f"CSNLN: scale must be 2, 3 or 4, got {scale}")
        if depth < 1:
            raise ValueError(f"CSNLN: depth must be >= 1, got {depth}")
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        multiple = 3 if scale == 3 else 2
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=2 * multiple,
            size_multiple=multiple,
            normalize=normalize,
            denormalize=denormalize,
        )
        self.head = nn.Sequential(conv(image_channels, width), nn.PReLU(), conv(width, width), nn.PReLU())
        self.body = SelfExemplarMining(width, scale)
        self.tail = conv(depth * width, image_channels)
        self.depth = depth

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        x = self.head(self.normalise(lr))
        highs: list[Tensor] = []
        for _ in range(self.depth):
            x, high = self.body(x)
            highs.append(high)
        return self.denormalise(self.tail(torch.cat(highs, 1)))

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "head"], ["tail", "denormalise"]]


register(
    NetworkSpec(
        name="csnln",
        build=CSNLN,
        paper="Mei et al., CVPR 2020, arXiv:2006.01424",
        framework_note="recurrent",
        size_requirements={
            scale: SizeRequirements(radius=None, min_size=2 * multiple, size_multiple=multiple)
            for scale, multiple in ((2, 2), (3, 3), (4, 2))
        },
        reduced={"depth": 2},
    )
)
