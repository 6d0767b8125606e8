"""How to build every public block, and which shapes it takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from helpers.small_networks import unlike_fresh
from srblocks import (
    RCAB,
    RRDB,
    BicubicResize,
    CascadingBlock,
    ChannelAttention,
    CrossScaleNonLocal,
    DeconvUp,
    DenseBlock,
    DepthwiseSeparableConv,
    DownProjection,
    EfficientResidualBlock,
    InterpolateUp,
    IterativeUpsampling,
    LaplacianLevel,
    LaplacianUp,
    MeanShift,
    MemoryBlock,
    NearestConvUp,
    NonLocal,
    OnLuma,
    OnYCbCr,
    PixelShuffleUp,
    PostUpsampling,
    PreUpsampling,
    ProgressiveUpsampling,
    PyramidLevel,
    RecursiveBlock,
    ResidualBlock,
    ResidualDenseBlock,
    ResidualGroup,
    SecondOrderChannelAttention,
    UpProjection,
    conv,
    create_network,
)
from srblocks.blocks import (
    DualStateUnit,
    FeatureFusion,
    LearnedAverage,
    MultiScale,
    MultiSourceProjection,
    Patches,
    PreActivatedConv,
    RegionNonLocal,
    Rescale,
    timm_attention,
)

C = 8
"""Channels of features."""

Shapes = Callable[[int, int, int], list[tuple[int, ...]]]


def maps(channels: int = C, up: int = 1, down: int = 1, count: int = 1) -> Shapes:
    """So many feature maps of (N, channels, H * up / down, W * up / down)."""
    return lambda n, h, w: [(n, channels, h * up // down, w * up // down)] * count


_MAP = maps()


@dataclass(frozen=True)
class Row:
    """A block.

    Attributes:
        build: makes it.
        gives: shapes of its outputs, from N, H and W of its first input.
        takes: shapes of its inputs.
        listed: it takes them as one list.
        least: smallest H and W.
        multiple: H and W are multiples of it.
        idle: how the names of the parameters begin that another scale trains.
    """

    build: Callable[[], nn.Module]
    gives: Shapes
    takes: Shapes = _MAP
    listed: bool = False
    least: int = 1
    multiple: int = 1
    idle: tuple[str, ...] = ()

    def module(self) -> nn.Module:
        """Build it with weights unlike fresh ones, in float64 and eval mode."""
        torch.manual_seed(0)
        return unlike_fresh(self.build())


def same(build: Callable[[], nn.Module], **facts: object) -> Row:
    """A block that keeps the shape."""
    return Row(build, maps(), **facts)


def enlarging(build: Callable[[], nn.Module], scale: int, **facts: object) -> Row:
    """An upsampler of features."""
    return Row(build, maps(up=scale), **facts)


def framework(build: Callable[[], nn.Module], channels: int = 3, **facts: object) -> Row:
    """A network x2."""
    return Row(build, maps(channels, 2), maps(channels), **facts)


def post(**more: object) -> PostUpsampling:
    slots = {"head": conv(3, C), "body": conv(C, C), "upsampler": PixelShuffleUp(C, 2), "tail": conv(C, 3)}
    return PostUpsampling(scale=2, image_channels=3, **slots, **more)


def pre() -> PreUpsampling:
    slots = {"upsampler": InterpolateUp(3, 2), "head": conv(3, C), "body": nn.ReLU(), "tail": conv(C, 3)}
    return PreUpsampling(scale=2, image_channels=3, **slots, image_skip=True)


def iterative(**more: object) -> IterativeUpsampling:
    units = {"first": UpProjection(C, 2), "downs": [DownProjection(C, 2)], "ups": [UpProjection(C, 2)]}
    return IterativeUpsampling(scale=2, image_channels=3, head=conv(3, C), **units, tail=conv(2 * C, 3), **more)


def progressive() -> ProgressiveUpsampling:
    levels: list[nn.Module] = [LaplacianLevel(C, body=conv(C, C))]
    return ProgressiveUpsampling(scale=2, image_channels=1, head=conv(1, C), levels=levels)


up2 = partial(nn.ConvTranspose2d, kernel_size=2, stride=2)

# The name of the class, and behind a comma what is special.
ROWS: dict[str, Row] = {
    "BicubicResize": Row(lambda: BicubicResize(C, 3), maps(up=3), least=2),
    "BicubicResize, three quarters": Row(lambda: BicubicResize(C, 3, 4), maps(up=3, down=4), multiple=4),
    "BicubicResize, replicated": Row(lambda: BicubicResize(C, 2, a=-0.75, border="replicate"), maps(up=2)),
    "CascadingBlock": same(lambda: CascadingBlock(C)),
    "CascadingBlock, shared": same(lambda: CascadingBlock(C, block=EfficientResidualBlock, shared=True)),
    "ChannelAttention": same(lambda: ChannelAttention(C, reduction=2)),
    "CrossScaleNonLocal": enlarging(lambda: CrossScaleNonLocal(C, 2), 2, multiple=2),
    "CrossScaleNonLocal, x3": enlarging(lambda: CrossScaleNonLocal(C, 3), 3, multiple=3),
    "DeconvUp": enlarging(lambda: DeconvUp(C, 3), 3),
    "DeconvUp, cropped": enlarging(lambda: DeconvUp(C, 2, kernel_size=3, padding=0, act=nn.PReLU), 2),
    "DenseBlock": Row(lambda: DenseBlock(C, growth=4, depth=3), maps(C + 12)),
    "DenseBlock, without its input": Row(
        lambda: DenseBlock(C, growth=4, depth=3, dense_input=False, keep_input=False), maps(12)
    ),
    "DepthwiseSeparableConv": Row(lambda: DepthwiseSeparableConv(C, 12, dilation=2), maps(12)),
    "DownProjection": Row(lambda: DownProjection(C, 2), maps(up=1, down=2), multiple=2),
    "DownProjection, x4": Row(lambda: DownProjection(C, 4, out_channels=4), maps(4, 1, 4), multiple=4),
    "DualStateUnit": Row(
        lambda: DualStateUnit(C, up2(C, C), scale=2),
        lambda n, h, w: [(n, C, h, w), (n, C, 2 * h, 2 * w)],
        lambda n, h, w: [(n, C, h, w), (n, C, 2 * h, 2 * w)],
    ),
    "EfficientResidualBlock": same(lambda: EfficientResidualBlock(C, groups=2)),
    "FeatureFusion": Row(lambda: FeatureFusion([conv(C, C), ResidualBlock(C)], conv(2 * C, 5, 1)), maps(5)),
    "InterpolateUp": enlarging(lambda: InterpolateUp(C, 2), 2, least=2),
    "InterpolateUp, bilinear": Row(lambda: InterpolateUp(C, 3, out_channels=5, mode="bilinear"), maps(5, 3)),
    "InterpolateUp, nearest": enlarging(lambda: InterpolateUp(C, 2, mode="nearest", act=nn.ReLU), 2),
    "IterativeUpsampling": framework(iterative),
    "IterativeUpsampling, recurrent": framework(lambda: iterative(recursions=2, newest_first=False)),
    "LaplacianLevel": Row(
        lambda: LaplacianLevel(C, body=conv(C, C)),
        lambda n, h, w: [(n, C, 2 * h, 2 * w), (n, 1, 2 * h, 2 * w)],
        lambda n, h, w: [(n, C, h, w), (n, 1, h, w)],
    ),
    "LaplacianUp": enlarging(lambda: LaplacianUp(C, 4), 4),
    "LearnedAverage": Row(lambda: LearnedAverage(3), maps(), maps(count=3), listed=True),
    "MeanShift": Row(lambda: MeanShift(-1, value_range=255), maps(3), maps(3)),
    "MemoryBlock": Row(lambda: MemoryBlock(C, memories=2, recursions=2), maps(), maps(count=2), listed=True),
    "MultiScale": enlarging(
        lambda: MultiScale(3, {2: PixelShuffleUp(C, 2), 3: PixelShuffleUp(C, 3)}), 3, idle=("branches.x2",)
    ),
    "MultiSourceProjection": enlarging(
        lambda: MultiSourceProjection(C, 2, up=lambda channels: up2(channels, channels)), 2, multiple=2
    ),
    "NearestConvUp": enlarging(lambda: NearestConvUp(C, 4, act=nn.LeakyReLU), 4),
    "NonLocal": same(lambda: NonLocal(C, inner_channels=4, pool=2), least=2),
    "NonLocal, without skip": Row(
        lambda: NonLocal(C, inner_channels=4, value_channels=5, act=nn.PReLU, skip=False), maps(5)
    ),
    "OnLuma": framework(lambda: OnLuma(create_network("espcn", width=8)), least=2),
    "OnYCbCr": framework(lambda: OnYCbCr(create_network("espcn", width=8, image_channels=3, color="ycbcr"))),
    "Patches": Row(lambda: Patches(3, 3, padding=1), maps(27), maps(3)),
    "PixelShuffleUp": enlarging(lambda: PixelShuffleUp(C, 4), 4),
    "PixelShuffleUp, direct": Row(
        lambda: PixelShuffleUp(C, 3, out_channels=4, stepwise=False, groups=2, icnr=True, act=nn.ReLU), maps(4, 3)
    ),
    "PostUpsampling": framework(lambda: post(long_skip=True)),
    "PostUpsampling, with an image skip": framework(lambda: post(image_skip=InterpolateUp(3, 2)), least=2),
    "PreActivatedConv": Row(lambda: PreActivatedConv(C, 5), maps(5)),
    "PreUpsampling": framework(pre, least=2),
    "ProgressiveUpsampling": framework(progressive, channels=1),
    "PyramidLevel": enlarging(lambda: PyramidLevel(conv(C, C), DeconvUp(C, 2), skip=True), 2),
    "RCAB": same(lambda: RCAB(C, reduction=2, res_scale=0.3)),
    "RCAB, with an attention of timm": same(lambda: RCAB(C, attention=timm_attention("eca"))),
    "RDB": same(lambda: ResidualDenseBlock(C, growth=4, depth=2, fuse_kernel=3, res_scale=0.5)),
    "RRDB": same(lambda: RRDB(C, growth=4)),
    "RecursiveBlock": same(lambda: RecursiveBlock(C, recursions=3)),
    "RecursiveBlock, of one convolution": same(
        lambda: RecursiveBlock(C, recursions=3, depth=1, norm=None, pre_activation=False, skip="none")
    ),
    "RegionNonLocal": same(lambda: RegionNonLocal(NonLocal(C, inner_channels=4)), least=2),
    "Rescale": same(lambda: Rescale(1 / 255)),
    "ResidualBlock": same(lambda: ResidualBlock(C)),
    "ResidualBlock, with norms": same(
        lambda: ResidualBlock(C, norm=nn.BatchNorm2d, act=nn.PReLU, res_scale=0.1, out_act=nn.ReLU)
    ),
    "ResidualDenseBlock": same(lambda: ResidualDenseBlock(C, growth=4, depth=3)),
    "ResidualGroup": same(lambda: ResidualGroup(C, depth=2, block=partial(RCAB, reduction=2))),
    "SecondOrderChannelAttention": same(lambda: SecondOrderChannelAttention(C, reduction=2)),
    "UpProjection": enlarging(lambda: UpProjection(C, 2), 2),
    "UpProjection, x3": Row(lambda: UpProjection(C, 3, out_channels=5), maps(5, 3)),
}
