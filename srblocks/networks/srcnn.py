"""SRCNN: the first convolutional network for super-resolution."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import conv, normalization
from ..frameworks import PreUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class SRCNN(PreUpsampling):
    """SRCNN: three convolutions on the interpolated image: patch extraction, mapping, reconstruction.

    Dong et al., *Image Super-Resolution Using Deep Convolutional Networks*, TPAMI 2016, arXiv:1501.00092, Fig. 2.
    Differs from the paper: zero padding keeps the size, as in every PyTorch port.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: channels after patch extraction (paper: 64); the mapping has half as many.
        mapping_kernel: side of the middle kernel: 5 for 9-5-5, 1 for the 9-1-5 of the ECCV 2014 paper.
        interpolation: "bicubic" (MATLAB's), "bilinear" or "nearest".
        color: color space of the channels: "ycbcr" (full range; one port), or None for Y or RGB.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        57,281 parameters for 9-5-5 on Y, 8,129 for 9-1-5.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        mapping_kernel: int = 5,
        interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic",
        color: str | None = None,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale, mode=interpolation),
            head=nn.Sequential(conv(image_channels, width, 9), nn.ReLU()),
            body=nn.Sequential(conv(width, width // 2, mapping_kernel), nn.ReLU()),
            tail=conv(width // 2, image_channels, 5),
            denormalize=denormalize,
            color=color,
        )


_PAPER = "Dong et al., TPAMI 2016, arXiv:1501.00092"

register(
    NetworkSpec(
        name="srcnn",
        build=SRCNN,
        paper=_PAPER,
        size_requirements={
            2: SizeRequirements(radius=6, min_size=2),
            3: SizeRequirements(radius=4, min_size=2),
            4: SizeRequirements(radius=4, min_size=2),
        },
    ),
    NetworkSpec(
        name="srcnn_915",
        build=partial(SRCNN, mapping_kernel=1),
        paper="Dong et al., ECCV 2014",
        size_requirements={
            2: SizeRequirements(radius=5, min_size=2),
            3: SizeRequirements(radius=4, min_size=2),
            4: SizeRequirements(radius=3, min_size=2),
        },
    ),
)
