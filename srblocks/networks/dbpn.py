"""DBPN: back-projection, up and down in turn, densely connected."""

from torch import nn

from ..blocks import conv
from ..frameworks import IterativeUpsampling
from ..init import he_
from ..registry import Geometry, NetworkSpec, register
from ..upsampling import DownProjection, InterpolateUp, UpProjection


class DDBPN(IterativeUpsampling):
    """Dense deep back-projection network.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, Fig. 5 and
    section 3.3: T up-projections and T - 1 down-projections; each unit after the first three sees all earlier outputs
    at its resolution through a 1x1 convolution, newest first.

    Args:
        scale: enlargement per side (authors: 2, 4, 8).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: channels of the projections (n_R in the paper).
        head_width: channels of the first convolution (n_0 in the paper).
        stages: up-projections T (paper: 7).
        image_skip: add the bicubic enlargement of the input (the authors train with it and evaluate without).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1
        (2 with ``image_skip``). 5,953,526 / 10,426,358 / 23,205,878 parameters at x2 / x4 / x8.

    Raises:
        ValueError: ``stages < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        head_width: int = 256,
        stages: int = 7,
        image_skip: bool = False,
    ) -> None:
        if stages < 1:
            raise ValueError(f"DDBPN: stages={stages} is below 1; the first up-projection is always there")
        dense = [None if stage == 1 else stage * width for stage in range(1, stages)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            head=nn.Sequential(conv(image_channels, head_width), nn.PReLU(), conv(head_width, width, 1), nn.PReLU()),
            first=UpProjection(width, scale),
            downs=[DownProjection(width, scale, in_channels=channels) for channels in dense],
            ups=[UpProjection(width, scale, in_channels=channels) for channels in dense],
            tail=conv(stages * width, image_channels),
            image_skip=InterpolateUp(image_channels, scale) if image_skip else None,
        )
        he_(self, mode="fan_in", transposed=True)


register(
    NetworkSpec(
        name="dbpn",
        build=DDBPN,
        paper="Haris et al., CVPR 2018, arXiv:1803.02735",
        framework="iterative",
        geometry={2: Geometry(radius=41), 4: Geometry(radius=21), 8: Geometry(radius=21)},
        image_channels=3,
        color="rgb",
        reduced={"stages": 3},
    )
)
