"""VDSR: twenty convolutions that predict the residual of the interpolated image."""

from typing import Literal

from torch import nn

from ..blocks import DIV2K_MEAN, conv, normalization
from ..frameworks import PreUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class VDSR(PreUpsampling):
    """VDSR: very deep network with a global residual, the interpolated image plus predicted detail.

    Kim et al., *Accurate Image Super-Resolution Using Very Deep Convolutional Networks*, CVPR 2016, arXiv:1511.04587,
    Fig. 2. One set of weights serves every scale.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels.
        depth: number of convolutions (paper: 20).
        bias: add learned biases to the convolutions (some published weights have none).
        interpolation: "bicubic" (MATLAB's), "bilinear" or "nearest".
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        665,921 parameters on Y, 668,227 on RGB, 664,704 on Y without bias.

    Raises:
        ValueError: ``mean_shift`` with `image_channels` other than 3, or ``depth < 2``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        depth: int = 20,
        bias: bool = True,
        interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic",
        mean_shift: bool = False,
        value_range: float = 1.0,
    ) -> None:
        if depth < 2:
            raise ValueError(f"VDSR: depth must be >= 2, got {depth}")
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        body: list[nn.Module] = []
        for _ in range(depth - 2):
            body += [conv(width, width, bias=bias), nn.ReLU()]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale, mode=interpolation),
            head=nn.Sequential(conv(image_channels, width, bias=bias), nn.ReLU()),
            body=nn.Sequential(*body),
            tail=conv(width, image_channels, bias=bias),
            image_skip=True,
            denormalize=denormalize,
        )
        he_(self)


register(
    NetworkSpec(
        name="vdsr",
        build=VDSR,
        paper="Kim et al., CVPR 2016, arXiv:1511.04587",
        size_requirements={
            2: SizeRequirements(radius=12, min_size=2),
            3: SizeRequirements(radius=8, min_size=2),
            4: SizeRequirements(radius=7, min_size=2),
        },
        reduced={"depth": 4},
    )
)
