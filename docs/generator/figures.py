"""The figures of the documentation: every public block, upsampler and framework, and every network class."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

import srblocks.blocks as b
from srblocks import upsampling as u
from srblocks.blocks.dense import DenseBlock
from srblocks.frameworks import IterativeUpsampling, PostUpsampling, PreUpsampling, ProgressiveUpsampling
from srblocks.network import Network
from srblocks.networks import network_specs

from .nodes import TIMES, Figure

SIDE = 24
"""Height and width of the smallest input."""

REDUCED: dict[str, tuple[dict[str, object], str]] = {
    "CSNLN": ({"depth": 2}, f"2 of 12 runs of the cell, {TIMES}2"),
    "DDBPN": ({"stages": 3}, f"3 of 7 stages, {TIMES}2"),
    "DRCN": ({"recursions": 3}, f"3 of 16 recursions, {TIMES}2"),
    "DSRN": ({"steps": 4}, f"4 of 7 steps, {TIMES}2"),
    "LapSRN": ({"scale": 4}, f"{TIMES}4"),
    "MSLapSRN": ({"scale": 4}, f"{TIMES}4"),
    "BSRN": ({"depth": 3}, f"3 of 8 blocks, {TIMES}2"),
    "IMDN": ({"depth": 3}, f"3 of 6 blocks, {TIMES}2"),
    "RFDN": ({"depth": 3}, f"3 of 4 blocks, {TIMES}2"),
    "RRDBNet": ({"scale": 4}, f"{TIMES}4"),
    "SPANF3": ({"scale": 4}, f"{TIMES}4"),
    "MemNet": ({"memories": 3}, f"3 of 6 memory blocks, {TIMES}2"),
    "ProSR": ({"scale": 4}, f"{TIMES}4"),
    "RDN": ({"depth": 4}, f"4 of 16 residual dense blocks, {TIMES}2"),
    "REDNet": ({"depth": 10, "skips": True}, f"10 layers with skips, {TIMES}2"),
    "SAN": ({"groups": 3}, f"3 of 20 groups, {TIMES}2"),
    "SRDenseNet": ({"blocks": 4}, f"4 of 8 dense blocks, {TIMES}4"),
}
"""Networks that are drawn with fewer repetitions, or at a larger scale: arguments, and the note in the title."""

OPENED: dict[str, tuple[str, ...]] = {
    "CARN": ("CascadingBlock",),
    "BSRN": ("FeatureFusion",),
    "CSNLN": ("SelfExemplarMining",),
    "EFDN": ("FeatureReuse",),
    "IMDN": ("FeatureFusion",),
    "PDS": ("ImageTrunk",),
    "RFDN": ("FeatureFusion",),
    "RealPLKSR": ("PixelSkip",),
    "SPAN": ("SPABTrunk",),
    "SPANF3": ("SPABTrunk",),
    "SPANV2": ("ImageTrunk",),
    "DRCN": ("RecursiveBlock",),
    "LapSRN": ("LaplacianLevel",),
    "MSLapSRN": ("LaplacianLevel",),
    "ProSR": ("PyramidLevel",),
    "RDN": ("FeatureFusion",),
    "REDNet": ("_EncoderDecoder",),
    "SRDenseNet": ("DenseBlock", "_LowAndHigh"),
    "SAN": ("_SharedSourceGroups",),
}
"""Types of modules, by name, whose contents are drawn in the figure of a network."""


class SquareRoot(nn.Module):
    """Newton-Schulz square root of a covariance matrix, as one box."""

    def forward(self, covariance: Tensor) -> Tensor:
        """Return the matrix; figures need only shapes."""
        return covariance


class SquareRootAttention(b.SecondOrderChannelAttention):
    """Second-order channel attention whose matrix square root is a module."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.root = SquareRoot()

    def _square_root(self, covariance: Tensor) -> Tensor:
        return self.root(covariance)


class Listed(nn.Module):
    """Call a module that takes a list of tensors with separate arguments."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """Call the module."""
        return self.module([x1, x2, x3])


def maps(*shapes: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return feature maps of the given channels and sizes, in units of `SIDE`."""
    return tuple(torch.rand(1, channels, SIDE * times, SIDE * times) for channels, times in shapes)


def blocks() -> dict[str, Callable[[], Figure]]:
    """Return the figures of blocks, upsamplers and frameworks by the name of the class."""
    conv, c64 = b.conv, maps((64, 1))
    up2 = partial(nn.ConvTranspose2d, kernel_size=2, stride=2)
    recursive = partial(b.RecursiveBlock, 64, recursions=3)

    def of(net: nn.Module, inputs: tuple[Tensor, ...] = c64, *opened: type[nn.Module], **more: str) -> Figure:
        return Figure(net, inputs, opened, **more)

    return {
        "BlueprintSeparableConv": lambda: of(b.BlueprintSeparableConv(64, 64)),
        "CascadingBlock": lambda: of(b.CascadingBlock(64)),
        "ChannelAttention": lambda: of(b.ChannelAttention(64)),
        "ContrastAwareAttention": lambda: of(b.ContrastAwareAttention(64)),
        "Conv3XC": lambda: of(b.Conv3XC(64, 64), c64, b.ConvChain),
        "ConvChain": lambda: of(b.ConvChain(64, (256, 64), (3, 1), skip=True)),
        "ConvGate": lambda: of(b.ConvGate(64), maps((64, 1), (64, 1))),
        "CrossScaleNonLocal": lambda: of(b.CrossScaleNonLocal(64, 2)),
        "DenseBlock": lambda: of(b.DenseBlock(64, growth=32, depth=3)),
        "DepthwiseSeparableConv": lambda: of(b.DepthwiseSeparableConv(64, 128)),
        "DualStateUnit": lambda: of(b.DualStateUnit(64, up2(64, 64), scale=2), maps((64, 1), (64, 2))),
        "EdgeConv": lambda: of(b.EdgeConv(64, 64, [[1, 2, 1], [0, 0, 0], [-1, -2, -1]])),
        "EdgeOrientedConv": lambda: of(b.EdgeOrientedConv(64, 64, hidden=128, identity=True)),
        "EfficientResidualBlock": lambda: of(b.EfficientResidualBlock(64, groups=4)),
        "EnhancedSpatialAttention": lambda: of(b.EnhancedSpatialAttention(48), maps((48, 1))),
        "FeatureDistillationBlock": lambda: of(b.FeatureDistillationBlock(48), maps((48, 1))),
        "FeatureModulation": lambda: of(b.FeatureModulation(36), maps((36, 1))),
        "FeatureFusion": lambda: of(b.FeatureFusion([b.ResidualBlock(64) for _ in range(3)], conv(192, 64, 1))),
        "GaussianNoise": lambda: of(b.GaussianNoise(0.1)),
        "InformationDistillationBlock": lambda: of(b.InformationDistillationBlock(64)),
        "LayerNorm2d": lambda: of(b.LayerNorm2d(64)),
        "LocalChannelAttention": lambda: of(b.LocalChannelAttention(32), maps((32, 1))),
        "LocalFeatureBlock": lambda: of(b.LocalFeatureBlock(48), maps((48, 1))),
        "LearnedAverage": lambda: of(Listed(b.LearnedAverage(3)), maps(*[(1, 1)] * 3), b.LearnedAverage),
        "MeanShift": lambda: of(b.MeanShift(-1), maps((3, 1))),
        "MemoryBlock": lambda: of(
            Listed(b.MemoryBlock(64, memories=3, recursions=3)), maps(*[(64, 1)] * 3), b.MemoryBlock
        ),
        "MultiScale": lambda: of(b.MultiScale(2, {2: u.PixelShuffleUp(64, 2), 3: u.PixelShuffleUp(64, 3)})),
        "MultiSourceProjection": lambda: of(b.MultiSourceProjection(64, 2, up=lambda c: up2(c, c))),
        "NonLocal": lambda: of(b.NonLocal(64, inner_channels=32)),
        "NormedConv": lambda: of(b.NormedConv(64, 16)),
        "PartialConv": lambda: of(b.PartialConv(64, 16, 17)),
        "PartialLargeKernelBlock": lambda: of(b.PartialLargeKernelBlock(64, convolved=16)),
        "Patches": lambda: of(b.Patches(3, 3, padding=1), maps((3, 1))),
        "PixelAttention": lambda: of(b.PixelAttention(24), maps((24, 1))),
        "PreActivatedConv": lambda: of(b.PreActivatedConv(64, 64)),
        "RCAB": lambda: of(b.RCAB(64), c64, b.ChannelAttention),
        "RRDB": lambda: of(b.RRDB(64)),
        "RRRB": lambda: of(b.RRRB(50), maps((50, 1))),
        "ReducedMax": lambda: of(b.ReducedMax(8)),
        "RepVGGConv": lambda: of(b.RepVGGConv(64, 64)),
        "ResidualDenseLayers": lambda: of(b.ResidualDenseLayers(64, growth=32, depth=4)),
        "SCPA": lambda: of(b.SCPA(40), maps((40, 1))),
        "SPAB": lambda: of(b.SPAB(48), maps((48, 1)), b.SwiftGate),
        "SimpleFeatureModulation": lambda: of(b.SimpleFeatureModulation(36), maps((36, 1))),
        "SwiftGate": lambda: of(b.SwiftGate(), maps((48, 1), (48, 1))),
        "RecursiveBlock": lambda: of(recursive()),
        "RegionNonLocal": lambda: of(b.RegionNonLocal(b.NonLocal(64, inner_channels=32))),
        "Rescale": lambda: of(b.Rescale(255), maps((3, 1))),
        "ResidualBlock": lambda: of(b.ResidualBlock(64, norm=nn.BatchNorm2d)),
        "ResidualDenseBlock": lambda: of(b.ResidualDenseBlock(64, growth=32, depth=3), c64, DenseBlock),
        "ResidualGroup": lambda: of(b.ResidualGroup(64, depth=20, block=b.RCAB)),
        "SecondOrderChannelAttention": lambda: of(SquareRootAttention(64)),
        "BicubicResize": lambda: of(u.BicubicResize(3, 2), maps((3, 1))),
        "DeconvUp": lambda: of(u.DeconvUp(64, 2, act=nn.PReLU)),
        "DySample": lambda: of(u.DySample(12, 2, out_channels=3), maps((12, 1))),
        "DownProjection": lambda: of(u.DownProjection(64, 2), maps((64, 2))),
        "InterpolateUp": lambda: of(u.InterpolateUp(64, 2, out_channels=32)),
        "LaplacianLevel": lambda: of(u.LaplacianLevel(64, body=conv(64, 64)), maps((64, 1), (1, 1))),
        "LaplacianUp": lambda: of(u.LaplacianUp(64, 2, depth=3), c64, u.LaplacianLevel),
        "NearestConvUp": lambda: of(u.NearestConvUp(64, 4)),
        "PixelShuffleUp": lambda: of(u.PixelShuffleUp(64, 4)),
        "PixelUnshuffle": lambda: of(u.PixelUnshuffle(2), maps((3, 2))),
        "PixelUnshuffleDown": lambda: of(u.PixelUnshuffleDown(3, 2, out_channels=64), maps((3, 2))),
        "PyramidLevel": lambda: of(u.PyramidLevel(conv(64, 64), u.PixelShuffleUp(64, 2), skip=True)),
        "UpProjection": lambda: of(u.UpProjection(64, 2)),
        **frameworks(),
    }


def frameworks() -> dict[str, Callable[[], Figure]]:
    """Return the figures of the frameworks, with all of their optional parts."""
    conv, images = b.conv, maps((3, 1))

    def body() -> nn.Module:
        return nn.Sequential(conv(64, 64), nn.ReLU())

    slots = {"image_channels": 3, "head": conv(3, 64)}
    tail = conv(64, 3)
    return {
        "PreUpsampling": lambda: Figure(
            PreUpsampling(scale=2, upsampler=u.InterpolateUp(3, 2), body=body(), tail=tail, image_skip=True, **slots),
            images,
            optional="add",
        ),
        "PostUpsampling": lambda: Figure(
            PostUpsampling(
                scale=2,
                body=body(),
                upsampler=u.PixelShuffleUp(64, 2),
                tail=tail,
                long_skip=True,
                image_skip=u.InterpolateUp(3, 2),
                **slots,
            ),
            images,
            optional="add|add_1|image_skip",
        ),
        "ProgressiveUpsampling": lambda: Figure(
            ProgressiveUpsampling(
                scale=4, levels=[u.LaplacianLevel(64, body=body(), image_channels=3) for _ in range(2)], **slots
            ),
            images,
            (u.LaplacianLevel,),
        ),
        "IterativeUpsampling": lambda: Figure(
            IterativeUpsampling(
                scale=2,
                first=u.UpProjection(64, 2),
                downs=[u.DownProjection(64 * i, 2, out_channels=64) for i in (1, 2)],
                ups=[u.UpProjection(64 * i, 2, out_channels=64) for i in (1, 2)],
                tail=conv(3 * 64, 3),
                **slots,
            ),
            images,
        ),
    }


def networks() -> dict[str, Callable[[], Figure]]:
    """Return the figure of every registered network class, drawn at the smallest scale of its first registry entry."""
    found: dict[str, Callable[[], Figure]] = {}
    for spec in network_specs():
        built = spec.constructor[0]
        if built.__module__.startswith("srblocks.") and built.__name__ not in found:
            found[built.__name__] = partial(_network, built, spec.default_scale)
    return found


def _network(build: type[Network], scale: int) -> Figure:
    arguments, note = REDUCED.get(build.__name__, ({}, f"{TIMES}{scale}"))
    net = build(**{"scale": scale, **arguments}).eval()
    names = OPENED.get(build.__name__, ())
    opened = tuple({type(module) for module in net.modules() if type(module).__name__ in names})
    image = torch.rand(1, net.image_channels, SIDE, SIDE)
    return Figure(net, (image,), opened, title=f"{build.__name__} ({note})")


def figures() -> dict[str, Callable[[], Figure]]:
    """Return every figure by the name of its class."""
    return {**blocks(), **networks()}
