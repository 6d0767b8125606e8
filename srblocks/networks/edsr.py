"""EDSR: residual blocks without normalization, and a pixel-shuffle upsampler."""

from functools import partial

from torch import nn

from ..blocks import DIV2K_MEAN, ResidualBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class EDSR(PostUpsampling):
    """EDSR: enhanced deep residual network.

    Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution*, CVPRW 2017, arXiv:1707.02921,
    Fig. 3 and Table 1.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels (baseline: 64, full: 256).
        depth: residual blocks (baseline: 16, full: 32).
        res_scale: multiplier of each residual branch (baseline: 1, full: 0.1).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        Baseline: 1,369,859 / 1,554,499 / 1,517,571 parameters at x2 / x3 / x4; full: 40,729,603 / 43,680,003 /
        43,089,923.

    Raises:
        ValueError: ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        res_scale: float = 1.0,
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        blocks = [ResidualBlock(width, res_scale=res_scale) for _ in range(depth)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*blocks, conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale),
            tail=conv(width, image_channels),
            denormalize=denormalize,
        )


_PAPER = "Lim et al., CVPRW 2017, arXiv:1707.02921"
_BASELINE_RADIUS = {2: 36, 3: 36, 4: 36, 8: 36}
_FULL_RADIUS = {2: 68, 3: 68, 4: 68, 8: 68}

register(
    NetworkSpec(
        name="edsr_baseline",
        build=EDSR,
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=radius) for scale, radius in _BASELINE_RADIUS.items()},
        reduced={"depth": 2},
    ),
    NetworkSpec(
        name="edsr",
        build=partial(EDSR, width=256, depth=32, res_scale=0.1),
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=radius) for scale, radius in _FULL_RADIUS.items()},
        reduced={"depth": 1},
    ),
)
