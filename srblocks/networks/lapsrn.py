"""LapSRN: a Laplacian pyramid whose levels double features and image."""

from torch import nn

from ..blocks import conv, normalization
from ..frameworks import ProgressiveUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import BicubicResize, LaplacianLevel, activated_convs

LEVELS = {2: 1, 3: 2, 4: 2, 8: 3}
"""Number of levels at each scale; x3 is a resized x4."""


class LapSRN(ProgressiveUpsampling):
    """LapSRN: Laplacian pyramid super-resolution network.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017, arXiv:1704.03915,
    Fig. 1. As in the authors' code, x3 is the x4 network followed by MATLAB's bicubic downscaling by 3/4, and the
    released x8 network has five convolutions per level instead of ten. The first levels alone are the network of a
    smaller scale (`at_scale`).

    Args:
        scale: scale factor: 2, 3, 4 or 8.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels.
        depth: convolutions per level before the transposed convolution; None for the released depth (10; 5 at x8).
        upconv_kernel: side of the transposed kernel of the features: 3 (released) or 4 (the paper's text, some ports).
        bias: add learned biases to the convolutions of the features.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        407,441 / 814,242 / 814,242 / 667,123 parameters on Y at x2 / x3 / x4 / x8.

    Raises:
        ValueError: another `scale` or `upconv_kernel`.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        depth: int | None = None,
        upconv_kernel: int = 3,
        bias: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if scale not in LEVELS:
            raise ValueError(f"LapSRN: scale must be 2, 3 (a resized x4), 4 or 8, got {scale}")
        normalize, denormalize = normalization(image_channels, value_range)
        if depth is None:
            depth = 5 if scale == 8 else 10
        levels: list[nn.Module] = [
            LaplacianLevel(
                width,
                body=activated_convs(width, depth, bias=bias),
                image_channels=image_channels,
                upconv_kernel=upconv_kernel,
                bias=bias,
            )
            for _ in range(LEVELS[scale])
        ]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width, bias=bias), nn.LeakyReLU(0.2)),
            levels=levels,
            resize=BicubicResize(image_channels, 3, 4) if scale == 3 else None,
            denormalize=denormalize,
        )
        if "depth" in self.config:  # a subclass may fix it
            self.config["depth"] = depth
        self.scales = tuple(each for each in LEVELS if LEVELS[each] <= LEVELS[scale])
        he_(self)


register(
    NetworkSpec(
        name="lapsrn",
        build=LapSRN,
        paper="Lai et al., CVPR 2017, arXiv:1704.03915",
        size_requirements={
            2: SizeRequirements(radius=12),
            3: SizeRequirements(radius=18),
            4: SizeRequirements(radius=17),
            8: SizeRequirements(radius=11),
        },
        reduced={"depth": 2},
    )
)
