"""RRDBNet: residual-in-residual dense blocks; the network of ESRGAN, Real-ESRGAN and ESRGAN+."""

from functools import partial

from torch import nn

from ..blocks import RRDB, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import NearestConvUp, PixelUnshuffleDown

_leaky = partial(nn.LeakyReLU, 0.2)


class RRDBNet(PostUpsampling):
    """RRDBNet: the generator of ESRGAN and Real-ESRGAN.

    Wang et al., *ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks*, ECCVW 2018, arXiv:1809.00219,
    Fig. 3 and 4; Wang et al., *Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data*,
    ICCVW 2021, arXiv:2107.10833, Fig. 4.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (paper); others exist, such as 4 with alpha.
        width: feature channels (paper: 64).
        depth: residual-in-residual dense blocks (paper: 23, anime 6B: 6).
        growth: channels that each dense layer adds.
        unshuffle: at scales 1 and 2, work on the image unshuffled by ``4 / scale`` and upscale it by 4 as at scale 4
            (Real-ESRGAN); H and W must then be multiples of this factor. False works at the resolution of the image
            (ESRGAN). Without effect at other scales and with `plus`.
        plus: ESRGAN+, see `RRDB` (Rakotonirina and Rasoanaivo, ICASSP 2020, arXiv:2001.08073).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; H and W multiples
        of 4 at scale 1 and of 2 at scale 2, any H, W >= 1 otherwise. 16,723,907 / 16,703,171 / 16,697,987 parameters
        at x1 / x2 / x4; with 6 blocks 4,467,779 at x4.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 23,
        growth: int = 32,
        unshuffle: bool = True,
        plus: bool = False,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        factor = 4 // scale if unshuffle and not plus and scale in (1, 2) else 1
        enlarged = scale * factor
        blocks = [RRDB(width, growth=growth, plus=plus) for _ in range(depth)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            size_multiple=factor,
            normalize=normalize,
            head=PixelUnshuffleDown(image_channels, factor, out_channels=width),
            body=nn.Sequential(*blocks, conv(width, width)),
            long_skip=True,
            upsampler=nn.Identity() if enlarged == 1 else NearestConvUp(width, enlarged, act=_leaky),
            tail=nn.Sequential(conv(width, width), _leaky(), conv(width, image_channels)),
            denormalize=denormalize,
        )


_ESRGAN = "Wang et al., ECCVW 2018, arXiv:1809.00219"
_REAL_ESRGAN = "Wang et al., ICCVW 2021, arXiv:2107.10833"


def _sizes(depth: int) -> dict[int, SizeRequirements]:
    radius = 15 * depth + 4
    return {
        1: SizeRequirements(radius=4 * radius, min_size=4, size_multiple=4),
        2: SizeRequirements(radius=2 * radius, min_size=2, size_multiple=2),
        3: SizeRequirements(radius=radius - 1),
        4: SizeRequirements(radius=radius),
        8: SizeRequirements(radius=radius),
    }


def _plain_sizes(depth: int) -> dict[int, SizeRequirements]:
    radius = 15 * depth + 4
    return {scale: SizeRequirements(radius=radius - (scale == 3)) for scale in (2, 3, 4)}


register(
    NetworkSpec(name="rrdbnet", build=RRDBNet, paper=_ESRGAN, size_requirements=_sizes(23), reduced={"depth": 1}),
    NetworkSpec(
        name="rrdbnet_6b",
        build=partial(RRDBNet, depth=6),
        paper=_REAL_ESRGAN,
        size_requirements=_sizes(6),
        reduced={"depth": 1},
    ),
    NetworkSpec(
        name="rrdbnet_lite",
        build=partial(RRDBNet, width=32, depth=12),
        paper=_REAL_ESRGAN,
        size_requirements=_sizes(12),
        reduced={"depth": 1},
    ),
    NetworkSpec(
        name="esrgan_plus",
        build=partial(RRDBNet, plus=True),
        paper="Rakotonirina and Rasoanaivo, ICASSP 2020, arXiv:2001.08073",
        size_requirements=_plain_sizes(23),
        reduced={"depth": 1},
    ),
)
