"""PAN: pixel attention in the body and in the upsampler."""

from functools import partial

from torch import nn

from ..blocks import SCPA, PixelAttention, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp
from ..upsampling.scale import prime_factors

_leaky = partial(nn.LeakyReLU, 0.2)


class PAN(PostUpsampling):
    """PAN: pixel attention network.

    Zhao et al., *Efficient Image Super-Resolution Using Pixel Attention*, ECCVW 2020, arXiv:2010.01073, Fig. 1 and 4.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels, even.
        depth: blocks.
        upsampler_width: channels in the upsampler.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        261,403 / 261,403 / 272,419 parameters at x2 / x3 / x4.

    Raises:
        ValueError: `width` is odd.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 40,
        depth: int = 16,
        upsampler_width: int = 24,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        upsampler: list[nn.Module] = []
        channels = width
        for factor in prime_factors(scale):
            upsampler += [
                InterpolateUp(channels, factor, mode="nearest"),
                conv(channels, upsampler_width),
                PixelAttention(upsampler_width),
                _leaky(),
                conv(upsampler_width, upsampler_width),
                _leaky(),
            ]
            channels = upsampler_width
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*(SCPA(width) for _ in range(depth)), conv(width, width)),
            long_skip=True,
            upsampler=nn.Sequential(*upsampler),
            tail=conv(upsampler_width, image_channels),
            image_skip=InterpolateUp(image_channels, scale, mode="bilinear"),
            denormalize=denormalize,
        )


register(
    NetworkSpec(
        name="pan",
        build=PAN,
        paper="Zhao et al., ECCVW 2020, arXiv:2010.01073",
        size_requirements={scale: SizeRequirements(radius=radius) for scale, radius in ((2, 36), (3, 35), (4, 36))},
        reduced={"depth": 2},
    )
)
