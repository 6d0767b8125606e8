"""DBPN: densely connected up- and down-projections."""

from functools import partial

from torch import nn

from ..blocks import DIV2K_MEAN, conv, normalization
from ..frameworks import IterativeUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DownProjection, InterpolateUp, UpProjection


class DDBPN(IterativeUpsampling):
    """D-DBPN: dense deep back-projection network.

    Haris et al., *Deep Back-Projection Networks for Super-Resolution*, CVPR 2018, arXiv:1803.02735, Fig. 5 and
    section 3.3: T up-projections and T - 1 down-projections; each unit after the first three receives all earlier
    outputs of its resolution through a 1x1 convolution.

    Args:
        scale: scale factor (authors: 2, 4, 8).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: channels of the projections (n_R in the paper).
        head_width: channels of the first convolution (n_0 in the paper).
        stages: up-projections T (paper: 7).
        recursions: run all projections this many times with shared weights; the output convolution then receives the
            last high-resolution features of each run (DBPN-RES-MR64-3: 3). None for one run, of which it receives all.
        image_skip: add the bicubically upscaled input (the authors train with it and evaluate without).
        newest_first: order of the earlier outputs in the concatenations (one port: oldest first).
        shared_slope: one slope per PReLU; otherwise one per channel (that port).
        mean_shift: subtract the DIV2K mean at the input and add it at the output (that port); needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1
        (2 with ``image_skip``). 5,953,526 / 10,426,358 / 23,205,878 parameters at x2 / x4 / x8.

    Raises:
        ValueError: ``stages < 1``, ``recursions < 1``, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 3,
        width: int = 64,
        head_width: int = 256,
        stages: int = 7,
        recursions: int | None = None,
        image_skip: bool = False,
        newest_first: bool = True,
        shared_slope: bool = True,
        mean_shift: bool = False,
        value_range: float = 1.0,
    ) -> None:
        if stages < 1:
            raise ValueError(f"DDBPN: stages must be >= 1, got {stages}")
        if recursions is not None and recursions < 1:
            raise ValueError(f"DDBPN: recursions must be >= 1 or None, got {recursions}")
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        act = nn.PReLU if shared_slope else partial(nn.PReLU, width)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(
                conv(image_channels, head_width),
                nn.PReLU() if shared_slope else nn.PReLU(head_width),
                conv(head_width, width, 1),
                act(),
            ),
            first=UpProjection(width, scale, act=act),
            downs=[DownProjection(stage * width, scale, out_channels=width, act=act) for stage in range(1, stages)],
            ups=[UpProjection(stage * width, scale, out_channels=width, act=act) for stage in range(1, stages)],
            tail=conv((recursions or stages) * width, image_channels),
            recursions=recursions,
            newest_first=newest_first,
            image_skip=InterpolateUp(image_channels, scale) if image_skip else None,
            denormalize=denormalize,
        )
        he_(self, mode="fan_in", transposed=True)


register(
    *(
        NetworkSpec(
            name=name,
            build=partial(DDBPN, **config),
            paper="Haris et al., CVPR 2018, arXiv:1803.02735",
            size_requirements={
                scale: SizeRequirements(radius=radius, min_size=2 if "image_skip" in config else 1)
                for scale, radius in zip((2, 4, 8), radii, strict=True)
            },
            reduced={"stages": min(3, int(config["stages"]))},
        )
        for name, radii, config in (
            ("dbpn", (41, 21, 21), {"stages": 7}),
            ("dbpn_ll", (59, 30, 30), {"stages": 10}),
            ("dbpn_res_mr64_3", (113, 57, 57), {"stages": 7, "recursions": 3, "image_skip": True}),
            ("dbpn_s", (11, 6, 6), {"stages": 2, "width": 32, "head_width": 128}),
            ("dbpn_ss", (11, 6, 6), {"stages": 2, "width": 18, "head_width": 64}),
        )
    )
)
