"""RCAN: residual groups with channel attention."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import DIV2K_MEAN, RCAB, ResidualGroup, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class RCAN(PostUpsampling):
    """RCAN: residual channel attention network.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 2 and section 3.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        groups: number G of residual groups (paper: 10).
        blocks_per_group: number B of residual channel attention blocks in each group (paper: 20).
        reduction: squeeze ratio of the channel attention.
        upsampling: "stepwise" (paper), or "direct" for a single pixel shuffle to the image (a Keras collection).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        15,444,643 / 15,629,283 / 15,592,355 / 15,740,067 parameters at x2 / x3 / x4 / x8. The receptive field
        is global.

    Raises:
        ValueError: unknown `upsampling`, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        groups: int = 10,
        blocks_per_group: int = 20,
        reduction: int = 16,
        upsampling: Literal["stepwise", "direct"] = "stepwise",
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        direct = upsampling == "direct"
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        block = partial(RCAB, reduction=reduction)
        body = [ResidualGroup(width, depth=blocks_per_group, block=block) for _ in range(groups)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*body, conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(
                width, scale, out_channels=image_channels if direct else width, stepwise=not direct
            ),
            tail=nn.Identity() if direct else conv(width, image_channels),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="rcan",
        build=RCAN,
        paper="Zhang et al., ECCV 2018, arXiv:1807.02758",
        size_requirements={scale: SizeRequirements(radius=None) for scale in (2, 3, 4, 8)},
        reduced={"groups": 2, "blocks_per_group": 2},
    )
)
