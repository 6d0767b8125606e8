"""RLFN: residual local features, winner of the NTIRE 2022 challenge on efficient super-resolution."""

from functools import partial

from torch import nn

from ..blocks import EnhancedSpatialAttention, LocalFeatureBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class RLFN(PostUpsampling):
    """RLFN: residual local feature network.

    Kong et al., *Residual Local Feature Network for Efficient Super-Resolution*, CVPRW 2022, arXiv:2205.07514, Fig. 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels (RLFN: 52, RLFN-S: 48, NTIRE 2022: 46).
        hidden_width: channels inside the blocks (NTIRE 2022: 48); None for `width`.
        depth: blocks (paper: 6, NTIRE 2022: 4).
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 15.
        526,856 / 533,891 / 543,740 parameters at x2 / x3 / x4; RLFN-S 470,208 and NTIRE 2022 317,218 at x4. The
        receptive field is global.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 52,
        hidden_width: int | None = None,
        depth: int = 6,
        value_range: float = 255.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        blocks = [LocalFeatureBlock(width, hidden=hidden_width) for _ in range(depth)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=EnhancedSpatialAttention.min_size,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*blocks, conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


_PAPER = "Kong et al., CVPRW 2022, arXiv:2205.07514"
_SIZES = {scale: SizeRequirements(radius=None, min_size=15) for scale in (2, 3, 4)}

register(
    NetworkSpec(name="rlfn", build=RLFN, paper=_PAPER, size_requirements=_SIZES, reduced={"depth": 2}),
    NetworkSpec(
        name="rlfn_s", build=partial(RLFN, width=48), paper=_PAPER, size_requirements=_SIZES, reduced={"depth": 2}
    ),
    NetworkSpec(
        name="rlfn_ntire",
        build=partial(RLFN, width=46, hidden_width=48, depth=4),
        paper=_PAPER,
        size_requirements=_SIZES,
        reduced={"depth": 2},
    ),
)
