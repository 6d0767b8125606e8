"""SAN: shared-source groups with second-order attention, between two non-local blocks."""

import torch
from torch import Tensor, nn

from ..blocks import (
    DIV2K_MEAN,
    NonLocal,
    RegionNonLocal,
    ResidualGroup,
    SecondOrderChannelAttention,
    conv,
    normalization,
)
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class _SharedSourceGroups(nn.Module):
    """Non-local block, groups with share-source skips, and the same non-local block again."""

    def __init__(self, non_local: nn.Module, groups: list[nn.Module]) -> None:
        super().__init__()
        self.non_local = non_local
        self.groups = nn.ModuleList(groups)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        source = self.non_local(x)
        x = source
        for group in self.groups:
            x = group(x) + self.gamma * source
        return self.non_local(x)


class SAN(PostUpsampling):
    """SAN: second-order attention network.

    Dai et al., *Second-order Attention Network for Single Image Super-Resolution*, CVPR 2019, Fig. 2 and 3. Follows
    the authors' code: one region-level non-local block before and after the groups, one weight for all share-source
    skips. Differs from it: no unused tensors, and no cropping of large feature maps in the covariance.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels.
        groups: number of local-source residual attention groups (paper: 20).
        blocks_per_group: number of residual blocks in each group (paper: 10).
        reduction: squeeze ratio of the attention.
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 8.
        15,712,776 / 15,897,416 / 15,860,488 / 16,008,200 parameters at x2 / x3 / x4 / x8 including the 38,044
        unused parameters of the authors' class. The receptive field is global. With torch 2.11, torch.export restricts
        an export to sizes with even quarters and rejects others; torch 2.14 does not.

    Raises:
        ValueError: ``mean_shift`` with `image_channels` other than 3, or a width below 8.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        groups: int = 20,
        blocks_per_group: int = 10,
        reduction: int = 16,
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)

        def attention(channels: int) -> nn.Module:
            return SecondOrderChannelAttention(channels, reduction=reduction)

        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=8,
            normalize=normalize,
            head=conv(image_channels, width),
            body=_SharedSourceGroups(
                RegionNonLocal(NonLocal(width, inner_channels=width // 8, pool=2)),
                [ResidualGroup(width, depth=blocks_per_group, attention=attention) for _ in range(groups)],
            ),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale),
            tail=conv(width, image_channels),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="san",
        build=SAN,
        paper="Dai et al., CVPR 2019",
        size_requirements={scale: SizeRequirements(radius=None, min_size=8) for scale in (2, 3, 4, 8)},
        reduced={"groups": 2, "blocks_per_group": 1},
    )
)
