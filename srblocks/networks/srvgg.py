"""SRVGGNetCompact: a plain chain of convolutions at low resolution; "Compact" among community models."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PixelShuffleUp


class SRVGGNetCompact(PostUpsampling):
    """SRVGGNetCompact: the small network of Real-ESRGAN (animevideov3, general-x4v3).

    Published with Real-ESRGAN (Wang et al., ICCVW 2021, arXiv:2107.10833) without a paper of its own: convolutions and
    activations, a pixel shuffle, and the image enlarged by nearest-neighbor interpolation.

    Args:
        scale: scale factor; 1 restores images of the same size.
        image_channels: 3 = RGB.
        width: feature channels (Compact: 64, SuperUltraCompact: 24).
        depth: convolutions after the first one (Compact: 16, general-x4v3: 32, UltraCompact and SuperUltraCompact: 8).
        act: "prelu" (one slope per channel), "relu" or "leaky_relu" (slope 0.1).
        image_skip: add the enlarged image.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        595,459 / 600,652 / 609,307 / 621,424 parameters at x1 / x2 / x3 / x4.

    Raises:
        ValueError: unknown `act`.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        act: Literal["prelu", "relu", "leaky_relu"] = "prelu",
        image_skip: bool = True,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        activations = {"prelu": partial(nn.PReLU, width), "relu": nn.ReLU, "leaky_relu": partial(nn.LeakyReLU, 0.1)}
        activation = activations[act]
        layers = [layer for _ in range(depth) for layer in (conv(width, width), activation())]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width), activation()),
            body=nn.Sequential(*layers),
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            image_skip=InterpolateUp(image_channels, scale, mode="nearest") if image_skip else None,
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="compact",
        build=SRVGGNetCompact,
        paper="Wang et al., ICCVW 2021, arXiv:2107.10833 (code)",
        size_requirements={scale: SizeRequirements(radius=18) for scale in (1, 2, 3, 4)},
        reduced={"depth": 2},
    )
)
