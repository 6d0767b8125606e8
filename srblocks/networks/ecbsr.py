"""ECBSR: a chain of edge-oriented convolutions for phones, deployed as plain convolutions."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import EdgeOrientedConv, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


class ECBSR(PostUpsampling):
    """ECBSR: edge-oriented convolution blocks for real-time super-resolution.

    Zhang et al., *Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices*, ACM MM 2021,
    Fig. 2 and 3.

    Args:
        scale: scale factor.
        image_channels: 1 = Y (authors).
        width: feature channels (authors: 8 to 64).
        depth: blocks between the first and the last (authors: 4 to 16).
        act: "prelu" (one slope per channel) or "relu".
        deploy: plain 3x3 convolutions; False for `EdgeOrientedConv` (ECB), in which the network is trained.
        identity: the identity is one of the branches in training, where the channels allow it.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        10,100 / 10,825 / 11,840 parameters at x2 / x3 / x4.

    Raises:
        ValueError: unknown `act`.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 16,
        depth: int = 4,
        act: Literal["prelu", "relu"] = "prelu",
        deploy: bool = True,
        identity: bool = False,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        activation = partial(nn.PReLU, width) if act == "prelu" else nn.ReLU

        def layer(inputs: int, outputs: int) -> nn.Module:
            if deploy:
                return conv(inputs, outputs)
            return EdgeOrientedConv(inputs, outputs, hidden=2 * outputs, identity=identity and inputs == outputs)

        body = [part for _ in range(depth) for part in (layer(width, width), activation())]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(layer(image_channels, width), activation()),
            body=nn.Sequential(*body),
            upsampler=nn.Sequential(layer(width, image_channels * scale**2), nn.PixelShuffle(scale)),
            tail=nn.Identity(),
            image_skip=InterpolateUp(image_channels, scale, mode="nearest"),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="ecbsr",
        build=ECBSR,
        paper="Zhang et al., ACM MM 2021",
        size_requirements={scale: SizeRequirements(radius=6) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    )
)
