"""RDN: residual dense blocks with global feature fusion."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import RDB, FeatureFusion, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PixelShuffleUp


class RDN(PostUpsampling):
    """RDN: residual dense network.

    Zhang et al., *Residual Dense Network for Image Super-Resolution*, CVPR 2018, arXiv:1802.08797, Fig. 2 and 3. As
    in a widely used port, the upsampler has `growth` output channels.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper), 1 = Y.
        width: feature channels G0 (paper: 64).
        depth: number D of residual dense blocks.
        layers: number C of dense layers in each block.
        growth: channels G that each layer adds.
        fusion_width: channels of the global feature fusion; None for `width` (a Keras collection: all).
        upsampling: "pixel_shuffle" (paper) or "bilinear" with `width` channels (that collection).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        22,123,395 / 22,308,035 / 22,271,107 parameters at x2 / x3 / x4 for D16C8G64, 5,541,795 / 5,634,115 / 5,578,787
        for D20C6G32.

    Raises:
        ValueError: unknown `upsampling`, ``depth < 1`` or ``layers < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        layers: int = 8,
        growth: int = 64,
        fusion_width: int | None = None,
        upsampling: Literal["pixel_shuffle", "bilinear"] = "pixel_shuffle",
        value_range: float = 1.0,
    ) -> None:
        if depth < 1:
            raise ValueError(f"RDN: depth must be >= 1, got {depth}")
        normalize, denormalize = normalization(image_channels, value_range)
        fused = width if fusion_width is None else fusion_width
        shuffled = upsampling == "pixel_shuffle"
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(
                conv(width, width),
                FeatureFusion(
                    [RDB(width, growth=growth, depth=layers) for _ in range(depth)],
                    nn.Sequential(conv(depth * width, fused, 1), conv(fused, width)),
                ),
            ),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=growth)
            if shuffled
            else InterpolateUp(width, scale, mode="bilinear"),
            tail=conv(growth if shuffled else width, image_channels),
            denormalize=denormalize,
        )


register(
    *(
        NetworkSpec(
            name=name,
            build=partial(RDN, **config),
            paper="Zhang et al., CVPR 2018, arXiv:1802.08797",
            size_requirements={scale: SizeRequirements(radius=radius) for scale in (2, 3, 4)},
            reduced={"depth": 2, "layers": 2},
        )
        for name, radius, config in (
            ("rdn", 133, {"depth": 16}),
            ("rdn_a", 125, {"depth": 20, "layers": 6, "growth": 32}),
        )
    )
)
