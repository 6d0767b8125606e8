"""EFDN: edge-enhanced feature distillation, baseline of the NTIRE 2025 challenge on efficient super-resolution."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import EdgeOrientedConv, EnhancedSpatialAttention, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp

_CELLS = 4


class EdgeDistillationBlock(nn.Module):
    """Edge-enhanced feature distillation block (EEFDB): three activated convolutions, all of which are distilled.

    Wang, *Edge-Enhanced Feature Distillation Network for Efficient Super-Resolution*, CVPRW 2022, arXiv:2204.08759,
    Fig. 2: ``x + ESA(fuse(concat(distill(x), distill(a), distill(b), distill(c))))``.

    Args:
        channels: feature channels C.
        layer: factory ``in_channels, out_channels -> module`` of the 3x3 convolutions.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= 15. The receptive field is global.
    """

    def __init__(self, channels: int, *, layer: Callable[[int, int], nn.Module] = conv) -> None:
        super().__init__()
        convolutions = [conv(channels, channels, 1), layer(channels, channels), layer(channels, channels)]
        self.steps = nn.ModuleList(nn.Sequential(each, nn.PReLU(channels)) for each in convolutions)
        self.distill_input = conv(channels, channels // 2, 1)
        self.distill = nn.ModuleList(conv(channels, channels // 2, 1) for _ in convolutions)
        self.fuse = conv(channels // 2 * 4, channels, 1)
        self.attention = EnhancedSpatialAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        y = x
        distilled = [self.distill_input(x)]
        for step, distill in zip(self.steps, self.distill):  # noqa: B905 (torch.jit.script)
            y = step(y)
            distilled.append(distill(y))
        return x + self.attention(self.fuse(torch.cat(distilled, 1)))


class FeatureReuse(nn.Module):
    """Four blocks in a chain, with the second output fused into what follows.

    Wang, CVPRW 2022, arXiv:2204.08759, Fig. 1.

    Args:
        blocks: four modules that map features to features.
        fuses: three modules that map two concatenated feature maps to features.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as the blocks require.
    """

    def __init__(self, blocks: list[nn.Module], fuses: list[nn.Module]) -> None:
        super().__init__()
        self.block1, self.block2, self.block3, self.block4 = blocks
        self.fuse1, self.fuse2, self.fuse3 = fuses

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on the features ``x``."""
        first = self.block1(x)
        second = self.block2(first)
        third = self.block3(self.fuse1(torch.cat((first, second), 1)))
        fourth = self.block4(self.fuse2(torch.cat((second, third), 1)))
        return self.fuse3(torch.cat((second, fourth), 1))


class EFDN(PostUpsampling):
    """EFDN: edge-enhanced feature distillation network.

    Wang, *Edge-Enhanced Feature Distillation Network for Efficient Super-Resolution*, CVPRW 2022, arXiv:2204.08759,
    Fig. 1. Differs from the challenge's code, which clamps the output to [0, 1].

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels.
        deploy: plain 3x3 convolutions; False for `EdgeOrientedConv` (EDBB), in which the network is trained.
        identity: the identity is one of the branches in training.
        expand: the expanding 1x1 and 3x3 convolutions are one of the branches in training.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 15.
        260,604 / 267,099 / 276,192 parameters at x2 / x3 / x4. The receptive field is global.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 48,
        deploy: bool = True,
        identity: bool = True,
        expand: bool = True,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        branches = partial(EdgeOrientedConv, hidden=width if expand else None, pointwise=True, identity=identity)
        block = partial(EdgeDistillationBlock, width, layer=conv if deploy else branches)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=EnhancedSpatialAttention.min_size,
            normalize=normalize,
            head=conv(image_channels, width),
            body=FeatureReuse([block() for _ in range(_CELLS)], [conv(2 * width, width, 1) for _ in range(_CELLS - 1)]),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="efdn",
        build=EFDN,
        paper="Wang, CVPRW 2022, arXiv:2204.08759",
        size_requirements={scale: SizeRequirements(radius=None, min_size=15) for scale in (2, 3, 4)},
        reduced={},
    )
)
