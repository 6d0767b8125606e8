"""IMDN: information multi-distillation, in the form of the paper and in that of the AIM 2019 challenge."""

from functools import partial

from torch import nn

from ..blocks import ContrastAwareAttention, FeatureFusion, InformationDistillationBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class IMDN(PostUpsampling):
    """IMDN: information multi-distillation network.

    Hui et al., *Lightweight Image Super-Resolution with Information Multi-distillation Network*, ACM MM 2019,
    arXiv:1909.11856, Fig. 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels, a multiple of 4.
        depth: blocks (paper: 6, challenge: 8).
        contrast_attention: contrast-aware attention in each block, and fusion of the outputs of all blocks (paper);
            False for neither (winner of the AIM 2019 challenge, baseline of NTIRE 2022).
        reduction: squeeze ratio of the attention.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        694,404 / 703,059 / 715,176 parameters at x2 / x3 / x4, with a global receptive field; 873,164 / 881,819 /
        893,936 without attention.

    Raises:
        ValueError: `width` is not a multiple of 4, or `reduction` exceeds it.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 6,
        contrast_attention: bool = True,
        reduction: int = 16,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        attention = partial(ContrastAwareAttention, reduction=reduction) if contrast_attention else None
        blocks: list[nn.Module] = [InformationDistillationBlock(width, attention=attention) for _ in range(depth)]
        if contrast_attention:
            fuse = nn.Sequential(conv(depth * width, width, 1), nn.LeakyReLU(0.05))
            blocks = [FeatureFusion(blocks, fuse)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*blocks, conv(width, width)),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


_PAPER = "Hui et al., ACM MM 2019, arXiv:1909.11856"

register(
    NetworkSpec(
        name="imdn",
        build=IMDN,
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=None) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    ),
    NetworkSpec(
        name="imdn_ntire",
        build=partial(IMDN, depth=8, contrast_attention=False),
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=35) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    ),
)
