"""BSRN: distillation blocks of blueprint separable convolutions, in the form of the paper and of NTIRE 2022."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import (
    BlueprintSeparableConv,
    ContrastAwareAttention,
    EnhancedSpatialAttention,
    FeatureDistillationBlock,
    FeatureFusion,
    conv,
    normalization,
)
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp

_COPIES = 4
"""Copies of the image that the head receives, as in the authors' code."""


class RepeatChannels(nn.Module):
    """Concatenation of copies of the image.

    Args:
        copies: number of copies.

    Shape:
        ``(N, C, H, W) -> (N, copies * C, H, W)``
    """

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate copies of ``x``."""
        return torch.cat([x] * self.copies, 1)


class ChannelWeights(nn.Module):
    """Learned channel weights and a 1x1 convolution: ``conv(weight * x)``, the end of BSRN-S's blocks.

    Args:
        channels: feature channels C.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.conv = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weight and mix the channels of ``x``."""
        return self.conv(x * self.weight)


class BSRN(PostUpsampling):
    """BSRN: blueprint separable residual network.

    Li et al., *Blueprint Separable Residual Network for Efficient Image Super-Resolution*, CVPRW 2022,
    arXiv:2205.05996, Fig. 1 to 3. Winner of NTIRE 2022 (efficient super-resolution) in model complexity as BSRN-S.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels (BSRN: 64, BSRN-S: 48).
        depth: blocks (BSRN: 8, BSRN-S: 5).
        contrast_attention: contrast-aware attention at the end of each block (BSRN); False for learned channel weights
            and a 1x1 convolution (BSRN-S), whose separable convolutions have two biases.
        reduction: squeeze ratio of the attention.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 15.
        331,628 / 340,283 / 352,400 parameters at x2 / x3 / x4; BSRN-S 156,288 at x4. The receptive field is global.

    Raises:
        ValueError: `reduction` exceeds `width`.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 8,
        contrast_attention: bool = True,
        reduction: int = 16,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        layer = partial(BlueprintSeparableConv, pointwise_bias=not contrast_attention)
        spatial = partial(
            EnhancedSpatialAttention,
            act=nn.GELU,
            layer=layer,
            strided=partial(layer, stride=2, padding=0) if contrast_attention else None,
        )
        channel = partial(ContrastAwareAttention, reduction=reduction) if contrast_attention else ChannelWeights

        def attention(channels: int) -> nn.Module:
            return nn.Sequential(spatial(channels), channel(channels))

        block = partial(FeatureDistillationBlock, act=nn.GELU, layer=layer, attention=attention, skip=True)
        fuse = nn.Sequential(conv(depth * width, width, 1), nn.GELU())
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=EnhancedSpatialAttention.min_size,
            normalize=normalize,
            head=nn.Sequential(RepeatChannels(_COPIES), layer(_COPIES * image_channels, width)),
            body=nn.Sequential(FeatureFusion([block(width) for _ in range(depth)], fuse), layer(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


_PAPER = "Li et al., CVPRW 2022, arXiv:2205.05996"
_SIZES = {scale: SizeRequirements(radius=None, min_size=15) for scale in (2, 3, 4)}

register(
    NetworkSpec(name="bsrn", build=BSRN, paper=_PAPER, size_requirements=_SIZES, reduced={"depth": 1}),
    NetworkSpec(
        name="bsrn_s",
        build=partial(BSRN, width=48, depth=5, contrast_attention=False),
        paper=_PAPER,
        size_requirements=_SIZES,
        reduced={"depth": 1},
    ),
)
