"""CARN and CARN-M: cascades of cascades, with one upsampler per scale."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from ..blocks import DIV2K_MEAN, CascadingBlock, EfficientResidualBlock, MultiScale, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class CARN(PostUpsampling):
    """CARN: cascading residual network; CARN-M with `mobile`.

    Ahn, Kang and Sohn, *Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network*, ECCV 2018,
    arXiv:1803.08664, Fig. 2 and 3. Differs from the paper's text as the authors' networks do: ReLU after every
    upsampling convolution, and grouped upsampling convolutions in CARN-M.

    Args:
        scale: scale factor that the network runs at, one of `scales`; `at_scale` returns the others.
        scales: scale factors with an upsampler (paper: 2, 3, 4).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        depth: blocks in each cascade (paper: 3).
        mobile: CARN-M: efficient residual blocks, one shared by all positions of a cascade.
        groups: groups of the convolutions of CARN-M (paper: 4).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        1,591,939 parameters with three scales, 414,787 for CARN-M.

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
        depth: int = 3,
        mobile: bool = False,
        groups: int = 4,
        mean_shift: bool = True,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        residual = partial(EfficientResidualBlock, groups=groups) if mobile else None
        local = partial(CascadingBlock, depth=depth, block=residual, shared=mobile)
        up = partial(PixelShuffleUp, width, groups=groups if mobile else 1, act=nn.ReLU)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=CascadingBlock(width, depth=depth, block=local),
            upsampler=MultiScale(scale, {each: up(each) for each in scales}),
            tail=conv(width, image_channels),
            denormalize=denormalize,
        )
        self.scales = tuple(scales)


register(
    *(
        NetworkSpec(
            name=name,
            build=partial(CARN, mobile=mobile),
            paper="Ahn et al., ECCV 2018, arXiv:1803.08664",
            size_requirements={scale: SizeRequirements(radius=21) for scale in (2, 3, 4)},
            reduced={"depth": 2},
        )
        for name, mobile in (("carn", False), ("carn_m", True))
    )
)
