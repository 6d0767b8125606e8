"""Iterative up- and downsampling: projections that feed back the error of an enlargement."""

from collections.abc import Callable

from torch import Tensor, nn

from ..blocks.conv import conv
from .pixel_shuffle import DeconvUp, check_scale


def _bottleneck(channels: int, out: int, act: Callable[[], nn.Module]) -> nn.Module:
    return nn.Identity() if channels == out else nn.Sequential(conv(channels, out, 1), act())


def _down(channels: int, scale: int, act: Callable[[], nn.Module]) -> nn.Module:
    check_scale(scale)
    return nn.Sequential(nn.Conv2d(channels, channels, scale + 4, stride=scale, padding=2), act())


def _up(channels: int, scale: int, act: Callable[[], nn.Module]) -> nn.Module:
    return DeconvUp(channels, scale, kernel_size=scale + 4, padding=2, act=act)


class UpProjection(nn.Module):
    """Up-projection unit: enlarge, reduce again, and enlarge what was lost.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, section 3.1
    and Fig. 3; the kernels are 6, 7, 8 and 12 at scales 2, 3, 4 and 8 with padding 2.

    Args:
        channels: feature channels of the input.
        scale: enlargement per side, 2 or more.
        out_channels: channels of the output; others than `channels` come from a 1x1 convolution ahead, as in the dense
            unit of Fig. 5. None keeps `channels`.
        act: factory of the activation after each convolution.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale < 2``.

    Example:
        >>> UpProjection(16, 4)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 20, 28])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Callable[[], nn.Module] = nn.PReLU,
    ) -> None:
        super().__init__()
        out = channels if out_channels is None else out_channels
        self.bottleneck = _bottleneck(channels, out, act)
        self.up1 = _up(out, scale, act)
        self.down = _down(out, scale, act)
        self.up2 = _up(out, scale, act)

    def forward(self, x: Tensor) -> Tensor:
        """Project the low-resolution features ``x`` up."""
        low = self.bottleneck(x)
        high = self.up1(low)
        return high + self.up2(self.down(high) - low)


class DownProjection(nn.Module):
    """Down-projection unit: reduce, enlarge again, and reduce what was lost.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, section 3.1
    and Fig. 3.

    Args:
        channels: feature channels of the input.
        scale: reduction per side, 2 or more.
        out_channels: channels of the output; others than `channels` come from a 1x1 convolution ahead, as in the dense
            unit of Fig. 5. None keeps `channels`.
        act: factory of the activation after each convolution.

    Shape:
        ``(N, channels, scale * H, scale * W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale < 2``.

    Example:
        >>> DownProjection(16, 4)(torch.rand(1, 16, 20, 28)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Callable[[], nn.Module] = nn.PReLU,
    ) -> None:
        super().__init__()
        out = channels if out_channels is None else out_channels
        self.bottleneck = _bottleneck(channels, out, act)
        self.down1 = _down(out, scale, act)
        self.up = _up(out, scale, act)
        self.down2 = _down(out, scale, act)

    def forward(self, x: Tensor) -> Tensor:
        """Project the high-resolution features ``x`` down."""
        high = self.bottleneck(x)
        low = self.down1(high)
        return low + self.down2(self.up(low) - high)
