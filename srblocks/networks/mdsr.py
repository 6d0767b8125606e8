"""MDSR: one body for several scales, with a head and an upsampler per scale."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from ..blocks import DIV2K_MEAN, MultiScale, ResidualBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class MDSR(PostUpsampling):
    """MDSR: multi-scale deep super-resolution network.

    Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution*, CVPRW 2017, arXiv:1707.02921,
    Fig. 5 and Table 1: two residual blocks with 5x5 kernels per scale, a shared body, an upsampler per scale.

    Args:
        scale: scale factor that the network runs at, one of `scales`; `at_scale` returns the others.
        scales: scale factors with branches (paper: 2, 3, 4).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        depth: residual blocks of the body (baseline: 16, full: 80).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        3,227,203 parameters with three scales for the baseline, 7,953,987 for the full network.

    Raises:
        ValueError: `scale` is not among `scales`, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        scales: Sequence[int] = (2, 3, 4),
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        block = partial(ResidualBlock, width, kernel_size=5)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(
                conv(image_channels, width),
                MultiScale(scale, {each: nn.Sequential(block(), block()) for each in scales}),
            ),
            body=nn.Sequential(*(ResidualBlock(width) for _ in range(depth)), conv(width, width)),
            long_skip=True,
            upsampler=MultiScale(scale, {each: PixelShuffleUp(width, each) for each in scales}),
            tail=conv(width, image_channels),
            denormalize=denormalize,
        )
        self.scales = tuple(scales)


register(
    *(
        NetworkSpec(
            name=name,
            build=partial(MDSR, depth=depth),
            paper="Lim et al., CVPRW 2017, arXiv:1707.02921",
            size_requirements={scale: SizeRequirements(radius=radius) for scale in (2, 3, 4)},
            reduced={"depth": depth // 16},
        )
        for name, depth, radius in (("mdsr_baseline", 16, 44), ("mdsr", 80, 172))
    )
)
