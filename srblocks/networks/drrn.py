"""DRRN: a recursive residual unit whose skip connections all start at the input of its block."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import PreActivatedConv, RecursiveBlock, conv, normalization
from ..frameworks import PreUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class DRRN(PreUpsampling):
    """DRRN: deep recursive residual network.

    Tai, Yang and Liu, *Image Super-Resolution via Deep Recursive Residual Network*, CVPR 2017, Fig. 2 to 4 and
    section 3: B recursive blocks of U residual units with shared convolutions. As in the authors' networks, every
    convolution, including the first and the last, is pre-activated (normalization, ReLU, convolution), and each
    recursion has its own normalizations.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels (paper: 128).
        blocks: number B of recursive blocks.
        recursions: number U of residual units in each block.
        norm: use batch normalization (some ports do not).
        bias: add learned biases to the convolutions (some ports do not).
        pre_activation: as the authors; False puts ReLU after each convolution except the last.
        interpolation: "bicubic" (MATLAB's), "bilinear" or "nearest".
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        302,467 parameters on Y for B1U9, 310,659 for B1U25.

    Raises:
        ValueError: ``blocks < 1`` or ``recursions < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 128,
        blocks: int = 1,
        recursions: int = 9,
        norm: bool = True,
        bias: bool = True,
        pre_activation: bool = True,
        interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic",
        value_range: float = 1.0,
    ) -> None:
        if blocks < 1:
            raise ValueError(f"DRRN: blocks must be >= 1, got {blocks}")
        normalize, denormalize = normalization(image_channels, value_range)
        norm_factory = nn.BatchNorm2d if norm else None

        def layer(in_channels: int, out_channels: int) -> nn.Module:
            if pre_activation:
                return PreActivatedConv(in_channels, out_channels, norm=norm_factory, bias=bias)
            return nn.Sequential(conv(in_channels, out_channels, bias=bias), nn.ReLU())

        body: list[nn.Module] = []
        for block in range(blocks):
            if block:
                body.append(layer(width, width))
            body.append(
                RecursiveBlock(
                    width, recursions=recursions, norm=norm_factory, bias=bias, pre_activation=pre_activation
                )
            )
        tail = layer(width, image_channels) if pre_activation else conv(width, image_channels, bias=bias)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale, mode=interpolation),
            head=layer(image_channels, width),
            body=nn.Sequential(*body),
            tail=tail,
            image_skip=True,
            denormalize=denormalize,
        )
        he_(self, mode="fan_in")


register(
    *(
        NetworkSpec(
            name=f"drrn_b1u{units}",
            build=partial(DRRN, recursions=units),
            paper="Tai et al., CVPR 2017",
            size_requirements={scale: SizeRequirements(radius=radius, min_size=2) for scale, radius in radii.items()},
            reduced={"recursions": units // 8 + 1},
        )
        for units, radii in {9: {2: 12, 3: 8, 4: 7}, 25: {2: 28, 3: 19, 4: 15}}.items()
    )
)
