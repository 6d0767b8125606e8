"""Constructors of all public blocks, with the shapes of their inputs and outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from helpers.small_networks import randomize
from srblocks import (
    RCAB,
    RRDB,
    SPAB,
    BicubicResize,
    BlueprintSeparableConv,
    CascadingBlock,
    ChannelAttention,
    ContrastAwareAttention,
    CrossScaleNonLocal,
    DeconvUp,
    DenseBlock,
    DepthwiseSeparableConv,
    DownProjection,
    DySample,
    EfficientResidualBlock,
    EnhancedSpatialAttention,
    FeatureDistillationBlock,
    FeatureModulation,
    InformationDistillationBlock,
    InterpolateUp,
    IterativeUpsampling,
    LaplacianLevel,
    LaplacianUp,
    LocalFeatureBlock,
    MeanShift,
    MemoryBlock,
    NearestConvUp,
    NonLocal,
    OnLuma,
    OnYCbCr,
    PixelAttention,
    PixelShuffleUp,
    PixelUnshuffleDown,
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
    RRRB,
    SCPA,
    Conv3XC,
    ConvChain,
    ConvGate,
    DualStateUnit,
    EdgeConv,
    EdgeOrientedConv,
    FeatureFusion,
    GaussianNoise,
    LayerNorm2d,
    LearnedAverage,
    LocalChannelAttention,
    MultiScale,
    MultiSourceProjection,
    NormedConv,
    PartialConv,
    PartialLargeKernelBlock,
    Patches,
    PreActivatedConv,
    ReducedMax,
    RegionNonLocal,
    RepVGGConv,
    Rescale,
    ResidualDenseLayers,
    SimpleFeatureModulation,
    SwiftGate,
    timm_attention,
)

C = 8
"""Feature channels."""

Shapes = Callable[[int, int, int], list[tuple[int, ...]]]


def maps(channels: int = C, up: int = 1, down: int = 1, count: int = 1) -> Shapes:
    """Return the shapes of `count` feature maps (N, channels, H * up / down, W * up / down)."""
    return lambda n, h, w: [(n, channels, h * up // down, w * up // down)] * count


_MAP = maps()


@dataclass(frozen=True)
class BlockCase:
    """Constructor of a block, with the shapes of its inputs and outputs.

    Attributes:
        build: constructor with arguments.
        output_shapes: shapes of the outputs, from N, H and W of the first input.
        input_shapes: shapes of the inputs.
        as_list: the inputs are one list.
        min_size: smallest H and W.
        size_multiple: H and W must be multiples of it.
        unused: prefixes of the names of parameters that only another scale uses.
    """

    build: Callable[[], nn.Module]
    output_shapes: Shapes
    input_shapes: Shapes = _MAP
    as_list: bool = False
    min_size: int = 1
    size_multiple: int = 1
    unused: tuple[str, ...] = ()

    def module(self) -> nn.Module:
        """Return the block with random weights, in float64 and eval mode."""
        torch.manual_seed(0)
        return randomize(self.build())


def same_size(build: Callable[[], nn.Module], **options: object) -> BlockCase:
    """Return the case of a block that keeps the shape."""
    return BlockCase(build, maps(), **options)


def upsampler(build: Callable[[], nn.Module], scale: int, **options: object) -> BlockCase:
    """Return the case of an upsampler that keeps the channels."""
    return BlockCase(build, maps(up=scale), **options)


def framework(build: Callable[[], nn.Module], channels: int = 3, **options: object) -> BlockCase:
    """Return the case of an x2 network."""
    return BlockCase(build, maps(channels, 2), maps(channels), **options)


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

# Keys are the name of the class and, after a comma, the variant.
BLOCK_CASES: dict[str, BlockCase] = {
    "BicubicResize": BlockCase(lambda: BicubicResize(C, 3), maps(up=3), min_size=2),
    "BicubicResize, by 3/4": BlockCase(lambda: BicubicResize(C, 3, 4), maps(up=3, down=4), size_multiple=4),
    "BicubicResize, replicated border": BlockCase(lambda: BicubicResize(C, 2, a=-0.75, border="replicate"), maps(up=2)),
    "BlueprintSeparableConv": BlockCase(lambda: BlueprintSeparableConv(C, 12, pointwise_bias=True), maps(12)),
    "CascadingBlock": same_size(lambda: CascadingBlock(C)),
    "CascadingBlock, shared": same_size(lambda: CascadingBlock(C, block=EfficientResidualBlock, shared=True)),
    "ChannelAttention": same_size(lambda: ChannelAttention(C, reduction=2)),
    "ContrastAwareAttention": same_size(lambda: ContrastAwareAttention(C, reduction=2)),
    "Conv3XC": BlockCase(lambda: Conv3XC(C, 5), maps(5)),
    "ConvChain": same_size(lambda: ConvChain(C, (12, C), (3, 1), skip=True)),
    "ConvGate": BlockCase(lambda: ConvGate(C, act="tanh"), maps(), maps(count=2)),
    "CrossScaleNonLocal": upsampler(lambda: CrossScaleNonLocal(C, 2), 2, size_multiple=2),
    "CrossScaleNonLocal, x3": upsampler(lambda: CrossScaleNonLocal(C, 3), 3, size_multiple=3),
    "DeconvUp": upsampler(lambda: DeconvUp(C, 3), 3),
    "DeconvUp, cropped": upsampler(lambda: DeconvUp(C, 2, kernel_size=3, padding=0, act=nn.PReLU), 2),
    "DenseBlock": BlockCase(lambda: DenseBlock(C, growth=4, depth=3), maps(C + 12)),
    "DenseBlock, without the input": BlockCase(
        lambda: DenseBlock(C, growth=4, depth=3, dense_input=False, keep_input=False), maps(12)
    ),
    "DepthwiseSeparableConv": BlockCase(lambda: DepthwiseSeparableConv(C, 12, dilation=2), maps(12)),
    "DownProjection": BlockCase(lambda: DownProjection(C, 2), maps(up=1, down=2), size_multiple=2),
    "DownProjection, x4": BlockCase(lambda: DownProjection(C, 4, out_channels=4), maps(4, 1, 4), size_multiple=4),
    "DualStateUnit": BlockCase(
        lambda: DualStateUnit(C, up2(C, C), scale=2),
        lambda n, h, w: [(n, C, h, w), (n, C, 2 * h, 2 * w)],
        lambda n, h, w: [(n, C, h, w), (n, C, 2 * h, 2 * w)],
    ),
    "DySample": BlockCase(lambda: DySample(12, 2, out_channels=3), maps(3, 2), maps(12)),
    "DySample, x1": BlockCase(lambda: DySample(3, 1, out_channels=3), maps(3), maps(3)),
    "DySample, x3": BlockCase(lambda: DySample(9, 3, out_channels=1), maps(1, 3), maps(9)),
    "EdgeConv": BlockCase(lambda: EdgeConv(C, 5, [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]), maps(5)),
    "EdgeOrientedConv": BlockCase(
        lambda: EdgeOrientedConv(C, 5, hidden=10),
        maps(5),
    ),
    "EdgeOrientedConv, all branches": same_size(
        lambda: EdgeOrientedConv(C, C, hidden=C, pointwise=True, identity=True),
    ),
    "EfficientResidualBlock": same_size(lambda: EfficientResidualBlock(C, groups=2)),
    "EnhancedSpatialAttention": same_size(lambda: EnhancedSpatialAttention(C, act="gelu"), min_size=15),
    "FeatureDistillationBlock": same_size(
        lambda: FeatureDistillationBlock(C, act="gelu", layer=BlueprintSeparableConv, attention=None, skip=True)
    ),
    "FeatureModulation": same_size(lambda: FeatureModulation(C), min_size=8),
    "FeatureFusion": BlockCase(lambda: FeatureFusion([conv(C, C), ResidualBlock(C)], conv(2 * C, 5, 1)), maps(5)),
    "GaussianNoise": same_size(lambda: GaussianNoise(0.1)),
    "InformationDistillationBlock": same_size(
        lambda: InformationDistillationBlock(C, attention=partial(ContrastAwareAttention, reduction=1))
    ),
    "InterpolateUp": upsampler(lambda: InterpolateUp(C, 2), 2, min_size=2),
    "InterpolateUp, bilinear": BlockCase(lambda: InterpolateUp(C, 3, out_channels=5, mode="bilinear"), maps(5, 3)),
    "InterpolateUp, nearest": upsampler(lambda: InterpolateUp(C, 2, mode="nearest", act=nn.ReLU), 2),
    "IterativeUpsampling": framework(iterative),
    "IterativeUpsampling, recurrent": framework(lambda: iterative(recursions=2, newest_first=False)),
    "LaplacianLevel": BlockCase(
        lambda: LaplacianLevel(C, body=conv(C, C)),
        lambda n, h, w: [(n, C, 2 * h, 2 * w), (n, 1, 2 * h, 2 * w)],
        lambda n, h, w: [(n, C, h, w), (n, 1, h, w)],
    ),
    "LaplacianUp": upsampler(lambda: LaplacianUp(C, 4), 4),
    "LayerNorm2d": same_size(lambda: LayerNorm2d(C)),
    "LearnedAverage": BlockCase(lambda: LearnedAverage(3), maps(), maps(count=3), as_list=True),
    "LocalChannelAttention": same_size(lambda: LocalChannelAttention(C)),
    "LocalFeatureBlock": same_size(lambda: LocalFeatureBlock(C, hidden=5), min_size=15),
    "MeanShift": BlockCase(lambda: MeanShift(-1, value_range=255), maps(3), maps(3)),
    "MemoryBlock": BlockCase(lambda: MemoryBlock(C, memories=2, recursions=2), maps(), maps(count=2), as_list=True),
    "MultiScale": upsampler(
        lambda: MultiScale(3, {2: PixelShuffleUp(C, 2), 3: PixelShuffleUp(C, 3)}), 3, unused=("branches.x2",)
    ),
    "MultiSourceProjection": upsampler(
        lambda: MultiSourceProjection(C, 2, up=lambda channels: up2(channels, channels)), 2, size_multiple=2
    ),
    "NearestConvUp": upsampler(lambda: NearestConvUp(C, 4, act=nn.LeakyReLU), 4),
    "NonLocal": same_size(lambda: NonLocal(C, inner_channels=4, pool=2), min_size=2),
    "NonLocal, no skip": BlockCase(
        lambda: NonLocal(C, inner_channels=4, value_channels=5, act=nn.PReLU, skip=False), maps(5)
    ),
    "NormedConv": BlockCase(lambda: NormedConv(C, 5, after=True), maps(5)),
    "OnLuma": framework(lambda: OnLuma(create_network("espcn", width=8)), min_size=2),
    "OnYCbCr": framework(lambda: OnYCbCr(create_network("espcn", width=8, image_channels=3, color="ycbcr"))),
    "Patches": BlockCase(lambda: Patches(3, 3, padding=1), maps(27), maps(3)),
    "PartialConv": same_size(lambda: PartialConv(C, 2, 5)),
    "PartialLargeKernelBlock": same_size(lambda: PartialLargeKernelBlock(C, convolved=2, kernel_size=5)),
    "PartialLargeKernelBlock, group norm": same_size(
        lambda: PartialLargeKernelBlock(C, convolved=2, kernel_size=5, norm="group")
    ),
    "PixelAttention": same_size(lambda: PixelAttention(C, kernel_size=3)),
    "PixelShuffleUp": upsampler(lambda: PixelShuffleUp(C, 4), 4),
    "PixelShuffleUp, direct": BlockCase(
        lambda: PixelShuffleUp(C, 3, out_channels=4, stepwise=False, groups=2, icnr=True, act=nn.ReLU), maps(4, 3)
    ),
    "PixelUnshuffleDown": BlockCase(lambda: PixelUnshuffleDown(C, 2, out_channels=5), maps(5, 1, 2), size_multiple=2),
    "PostUpsampling": framework(lambda: post(long_skip=True)),
    "PostUpsampling, image skip": framework(lambda: post(image_skip=InterpolateUp(3, 2)), min_size=2),
    "PreActivatedConv": BlockCase(lambda: PreActivatedConv(C, 5), maps(5)),
    "PreUpsampling": framework(pre, min_size=2),
    "ProgressiveUpsampling": framework(progressive, channels=1),
    "PyramidLevel": upsampler(lambda: PyramidLevel(conv(C, C), DeconvUp(C, 2), skip=True), 2),
    "RCAB": same_size(lambda: RCAB(C, reduction=2, res_scale=0.3)),
    "RCAB, timm attention": same_size(lambda: RCAB(C, attention=timm_attention("eca"))),
    "RDB": same_size(lambda: ResidualDenseBlock(C, growth=4, depth=2, fuse_kernel=3, res_scale=0.5)),
    "RRDB": same_size(lambda: RRDB(C, growth=4)),
    "RRDB, plus": same_size(lambda: RRDB(C, growth=4, plus=True)),
    "RRRB": same_size(lambda: RRRB(C)),
    "RecursiveBlock": same_size(lambda: RecursiveBlock(C, recursions=3)),
    "RecursiveBlock, one convolution": same_size(
        lambda: RecursiveBlock(C, recursions=3, depth=1, norm=None, pre_activation=False, skip="none")
    ),
    "ReducedMax": BlockCase(lambda: ReducedMax(2), lambda n, h, w: [(n, C, h // 2, w // 2)], min_size=2),
    "RegionNonLocal": same_size(lambda: RegionNonLocal(NonLocal(C, inner_channels=4)), min_size=2),
    "RepVGGConv": same_size(lambda: RepVGGConv(C, C)),
    "RepVGGConv, without normalization": BlockCase(lambda: RepVGGConv(C, 5, norm=False), maps(5)),
    "Rescale": same_size(lambda: Rescale(1 / 255)),
    "ResidualBlock": same_size(lambda: ResidualBlock(C)),
    "ResidualBlock, with norm": same_size(
        lambda: ResidualBlock(C, norm=nn.BatchNorm2d, act=nn.PReLU, res_scale=0.1, out_act=nn.ReLU)
    ),
    "ResidualDenseBlock": same_size(lambda: ResidualDenseBlock(C, growth=4, depth=3)),
    "ResidualDenseLayers": BlockCase(lambda: ResidualDenseLayers(C, growth=4, depth=4), maps(C + 16)),
    "ResidualGroup": same_size(lambda: ResidualGroup(C, depth=2, block=partial(RCAB, reduction=2))),
    "SCPA": same_size(lambda: SCPA(C)),
    "SPAB": same_size(lambda: SPAB(C)),
    "SecondOrderChannelAttention": same_size(lambda: SecondOrderChannelAttention(C, reduction=2)),
    "SimpleFeatureModulation": same_size(lambda: SimpleFeatureModulation(C), min_size=8),
    "SwiftGate": BlockCase(SwiftGate, maps(), maps(count=2)),
    "UpProjection": upsampler(lambda: UpProjection(C, 2), 2),
    "UpProjection, x3": BlockCase(lambda: UpProjection(C, 3, out_channels=5), maps(5, 3)),
}
