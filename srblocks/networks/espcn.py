"""ESPCN: three convolutions at low resolution and one pixel shuffle."""

from typing import Literal

from torch import nn

from ..blocks import activation, conv, normalization
from ..frameworks import PostUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class ESPCN(PostUpsampling):
    """ESPCN: efficient sub-pixel convolutional network.

    Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network*, CVPR 2016, arXiv:1609.05158, Fig. 1 and section 3.2. Differs from the paper: zero padding keeps the size.

    Args:
        scale: scale factor.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: channels of the convolutions before the sub-pixel convolution (paper: 64); the last has half as many.
        depth: number of convolutions before the sub-pixel convolution (paper: 2; PyTorch tutorial: 3).
        act: "tanh" (the paper's final choice) or "relu".
        color: color space of the channels: "ycbcr" (full range; one port), or None for Y or RGB.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        21,284 / 22,729 / 24,752 / 38,624 parameters on Y at x2 / x3 / x4 / x8.

    Raises:
        ValueError: unknown activation or color, or ``depth < 2``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        depth: int = 2,
        act: Literal["tanh", "relu"] = "tanh",
        color: str | None = None,
        value_range: float = 1.0,
    ) -> None:
        if depth < 2:
            raise ValueError(f"ESPCN: depth must be >= 2, got {depth}")
        normalize, denormalize = normalization(image_channels, value_range)
        body: list[nn.Module] = []
        for layer in range(depth - 1):
            body += [conv(width, width // 2 if layer == depth - 2 else width), activation(act)]
        upsampler = PixelShuffleUp(width // 2, scale, out_channels=image_channels, stepwise=False)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width, 5), activation(act)),
            body=nn.Sequential(*body),
            upsampler=upsampler,
            tail=nn.Identity(),
            denormalize=denormalize,
            color=color,
        )
        he_(self)
        nn.init.normal_(upsampler.get_parameter("0.weight"), std=0.001)


register(
    NetworkSpec(
        name="espcn",
        build=ESPCN,
        paper="Shi et al., CVPR 2016, arXiv:1609.05158",
        size_requirements={scale: SizeRequirements(radius=4) for scale in (2, 3, 4, 8)},
    )
)
