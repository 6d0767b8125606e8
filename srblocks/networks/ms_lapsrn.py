"""MS-LapSRN: a Laplacian pyramid whose levels share one recursive block."""

from functools import partial

from torch import nn

from ..blocks import RecursiveBlock, conv, normalization
from ..frameworks import ProgressiveUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import BicubicResize, LaplacianLevel
from .lapsrn import LEVELS


class MSLapSRN(ProgressiveUpsampling):
    """MS-LapSRN: multi-scale Laplacian pyramid super-resolution network.

    Lai et al., *Fast and Accurate Image Super-Resolution with Deep Laplacian Pyramid Networks*, TPAMI 2018,
    arXiv:1710.01992, Fig. 3 and Fig. 4c (source-shared skips): all levels and scales share one set of weights, which
    contains one recursive block. x3 is the x4 network followed by MATLAB's bicubic downscaling by 3/4.

    Args:
        scale: scale factor: 2, 3, 4 or 8; one set of weights serves all.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels.
        depth: number D of convolutions in the recursive block.
        recursions: number R of runs of the recursive block (released: 2, 5 and 8).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        222,801 parameters on Y for D5 with any R and at every scale.

    Raises:
        ValueError: another `scale`, or ``recursions < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 64,
        depth: int = 5,
        recursions: int = 8,
        value_range: float = 1.0,
    ) -> None:
        if scale not in LEVELS:
            raise ValueError(f"MSLapSRN: scale must be 2, 3 (a resized x4), 4 or 8, got {scale}")
        normalize, denormalize = normalization(image_channels, value_range)
        leaky = partial(nn.LeakyReLU, 0.2)
        embedding = RecursiveBlock(width, recursions=recursions, depth=depth, norm=None, act=leaky)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width),
            levels=[
                LaplacianLevel(width, body=nn.Sequential(embedding, leaky()), image_channels=image_channels, act=None)
            ],
            recursions=LEVELS[scale],
            resize=BicubicResize(image_channels, 3, 4) if scale == 3 else None,
            denormalize=denormalize,
        )
        self.scales = tuple(LEVELS)
        he_(self)


register(
    NetworkSpec(
        name="ms_lapsrn",
        build=MSLapSRN,
        paper="Lai et al., TPAMI 2018, arXiv:1710.01992",
        size_requirements={
            scale: SizeRequirements(radius=radius) for scale, radius in {2: 42, 3: 63, 4: 62, 8: 72}.items()
        },
        reduced={"depth": 2, "recursions": 2},
    )
)
