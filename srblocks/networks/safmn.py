"""SAFMN and SAFMN++: spatially-adaptive feature modulation."""

from functools import partial

from torch import Tensor, nn

from ..blocks import FeatureModulation, LayerNorm2d, SimpleFeatureModulation, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PixelShuffleUp

_MIN_SIZE = 8


class ModulationBlock(nn.Module):
    """Block of SAFMN: feature modulation and a convolutional channel mixer, each normalized and with a skip.

    Sun et al., ICCV 2023, arXiv:2302.13800, Fig. 2.

    Args:
        channels: feature channels C, a multiple of 4.
        expansion: factor of the channels in the mixer.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= 8.
    """

    def __init__(self, channels: int, *, expansion: float = 2.0) -> None:
        super().__init__()
        hidden = int(channels * expansion + 1e-6)
        self.norm1 = LayerNorm2d(channels)
        self.modulation = FeatureModulation(channels)
        self.norm2 = LayerNorm2d(channels)
        self.mixer = nn.Sequential(conv(channels, hidden), nn.GELU(), conv(hidden, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        x = x + self.modulation(self.norm1(x))
        return x + self.mixer(self.norm2(x))


class SimpleModulationBlock(nn.Module):
    """Block of SAFMN++: feature modulation and a convolutional channel mixer, with one skip and no biases.

    Args:
        channels: feature channels C.
        expansion: factor of the channels in the mixer.
        modulated: channels that are modulated; None for a third.
        skip: add the input.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, H, W >= 8.
    """

    def __init__(
        self, channels: int, *, expansion: float = 1.5, modulated: int | None = None, skip: bool = True
    ) -> None:
        super().__init__()
        hidden = int(channels * expansion + 1e-6)
        self.modulation = SimpleFeatureModulation(channels, modulated=modulated)
        mixer = [conv(channels, hidden, bias=False), nn.GELU(), conv(hidden, channels, 1, bias=False)]
        self.mixer = nn.Sequential(*mixer)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        y = self.mixer(self.modulation(x))
        return y + x if self.skip else y


class SAFMN(PostUpsampling):
    """SAFMN: spatially-adaptive feature modulation network.

    Sun et al., *Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution*, ICCV 2023,
    arXiv:2302.13800, Fig. 2.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper).
        width: feature channels, a multiple of 4.
        depth: blocks.
        expansion: factor of the channels in the mixers.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 8.
        227,820 / 232,695 / 239,520 parameters at x2 / x3 / x4. The pooling windows depend on the size of the image,
        so that tiles are approximate.

    Raises:
        ValueError: `width` is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 36,
        depth: int = 8,
        expansion: float = 2.0,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=_MIN_SIZE,
            normalize=normalize,
            head=conv(image_channels, width),
            body=nn.Sequential(*(ModulationBlock(width, expansion=expansion) for _ in range(depth))),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


class SAFMNPP(PostUpsampling):
    """SAFMN++: SAFMN with simpler blocks, without biases and normalization.

    NTIRE 2024 report on efficient super-resolution, arXiv:2404.10343; the light variant was made for the AIS 2024
    challenge on compressed 4K images.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB.
        width: feature channels (SAFMN++: 36, light: 32).
        depth: blocks (SAFMN++: 6, light: 2).
        expansion: factor of the channels in the mixers.
        light: modulate half of the channels instead of a third; one skip around all blocks instead of one in each, and
            no enlarged image is added.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 8.
        199,908 / 204,768 / 211,572 parameters at x2 / x3 / x4; light 66,176 at x4. The pooling windows depend on the
        size of the image, so that tiles are approximate.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 36,
        depth: int = 6,
        expansion: float = 1.5,
        light: bool = False,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        block = partial(
            SimpleModulationBlock,
            width,
            expansion=expansion,
            modulated=width // 2 if light else width // 3,
            skip=not light,
        )
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=_MIN_SIZE,
            normalize=normalize,
            head=conv(image_channels, width, bias=False),
            body=nn.Sequential(*(block() for _ in range(depth))),
            long_skip=light,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False, bias=False),
            tail=nn.Identity(),
            image_skip=None if light else InterpolateUp(image_channels, scale, mode="bilinear"),
            denormalize=denormalize,
        )


_SIZES = {scale: SizeRequirements(radius=None, min_size=_MIN_SIZE) for scale in (2, 3, 4)}
_PLUS = "NTIRE 2024 ESR report, arXiv:2404.10343"

register(
    NetworkSpec(
        name="safmn",
        build=SAFMN,
        paper="Sun et al., ICCV 2023, arXiv:2302.13800",
        size_requirements=_SIZES,
        reduced={"depth": 2},
    ),
    NetworkSpec(name="safmnpp", build=SAFMNPP, paper=_PLUS, size_requirements=_SIZES, reduced={"depth": 2}),
    NetworkSpec(
        name="safmnpp_light",
        build=partial(SAFMNPP, width=32, depth=2, light=True),
        paper=_PLUS,
        size_requirements=_SIZES,
        reduced={"depth": 2},
    ),
)
