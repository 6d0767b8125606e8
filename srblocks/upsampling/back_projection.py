"""Up- and down-projection units, which feed back the error of an upscaling step."""

from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from ..blocks.conv import conv
from ..blocks.factories import Activation, activation
from .scale import check_scale
from .transposed import DeconvUp


def _bottleneck(channels: int, out: int, act: Activation) -> nn.Module:
    return nn.Identity() if channels == out else nn.Sequential(conv(channels, out, 1), activation(act))


def _down(channels: int, scale: int, act: Activation) -> nn.Module:
    check_scale(scale)
    return nn.Sequential(nn.Conv2d(channels, channels, scale + 4, stride=scale, padding=2), activation(act))


def _up(channels: int, scale: int, act: Activation) -> nn.Module:
    return DeconvUp(channels, scale, kernel_size=scale + 4, padding=2, act=act)


class UpProjection(CompactRepr):
    """Up-projection unit: upscale, downscale again, and add the upscaled error: ``h + up(down(h) - x)``, ``h = up(x)``.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, section 3.1
    and Fig. 3; the kernel sizes are 6, 7, 8 and 12 for scales 2, 3, 4 and 8 with padding 2.

    Args:
        channels: input channels.
        scale: scale factor, an integer >= 2.
        out_channels: output channels; if they differ from `channels`, a 1x1 convolution comes first, as in the dense
            unit of Fig. 5. None for `channels`.
        act: name or factory of the activation after each convolution.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not an integer >= 2.

    Examples:
        >>> UpProjection(16, 4)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 20, 28])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Activation = nn.PReLU,
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


class DownProjection(CompactRepr):
    """Down-projection unit: downscale, upscale again, and add the downscaled error: the mirror of `UpProjection`.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, section 3.1
    and Fig. 3.

    Args:
        channels: input channels.
        scale: downscaling factor, an integer >= 2.
        out_channels: output channels; if they differ from `channels`, a 1x1 convolution comes first, as in the dense
            unit of Fig. 5. None for `channels`.
        act: name or factory of the activation after each convolution.

    Shape:
        ``(N, channels, scale * H, scale * W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not an integer >= 2.

    Examples:
        >>> DownProjection(16, 4)(torch.rand(1, 16, 20, 28)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Activation = nn.PReLU,
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
