"""RFDN: residual feature distillation, winner of the AIM 2020 challenge on efficient super-resolution."""

from torch import nn

from ..blocks import EnhancedSpatialAttention, FeatureDistillationBlock, FeatureFusion, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class RFDN(PostUpsampling):
    """RFDN: residual feature distillation network.

    Liu et al., *Residual Feature Distillation Network for Lightweight Image Super-Resolution*, ECCVW 2020,
    arXiv:2009.11551, Fig. 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels.
        depth: blocks (paper: 4).
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 15.
        433,448 parameters at x4. The receptive field is global.
    """

    def __init__(
        self, *, scale: int = 4, image_channels: int = 3, width: int = 50, depth: int = 4, value_range: float = 255.0
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        blocks: list[nn.Module] = [FeatureDistillationBlock(width) for _ in range(depth)]
        fuse = nn.Sequential(conv(depth * width, width, 1), nn.LeakyReLU(0.05))
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=EnhancedSpatialAttention.min_size,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(FeatureFusion(blocks, fuse), conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="rfdn",
        build=RFDN,
        paper="Liu et al., ECCVW 2020, arXiv:2009.11551",
        size_requirements={scale: SizeRequirements(radius=None, min_size=15) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    )
)
