"""Convolutions of concatenations rewritten as sums: feature fusion, memory blocks, back-projection."""

import itertools
from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import all_but, around, checked, names, reasons
from helpers.small_networks import randomize
from srblocks.blocks import FeatureFusion, MemoryBlock, PreActivatedConv, RecursiveBlock, ResidualBlock, conv
from srblocks.frameworks import IterativeUpsampling
from srblocks.network import Network
from srblocks.networks.dbpn import DDBPN
from srblocks.upsampling import DeconvUp, DownProjection, UpProjection

ALONE = {"without": all_but("accumulation")}


@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    kernel=st.sampled_from([1, 3]),
    mode=st.sampled_from(["zeros", "reflect"]),
    bias=st.booleans(),
    after=st.sampled_from(["nothing", "convolution", "activation"]),
)
def test_fusions_of_any_widths_become_sums(widths: list[int], kernel: int, mode: str, bias: bool, after: str) -> None:
    inputs = [6, *widths]
    blocks = [nn.Sequential(conv(inputs[i], width), nn.Softplus()) for i, width in enumerate(widths)]
    fuse: nn.Module = conv(sum(widths), 6, kernel, padding_mode=mode, bias=bias)
    if after != "nothing":
        fuse = nn.Sequential(fuse, conv(6, 6) if after == "convolution" else nn.Softplus())
    rewritten = checked(around(FeatureFusion(blocks, fuse), min_size=2), (2, 2), (5, 4), **ALONE)
    assert (names(rewritten) == {"accumulation"}) is (len(widths) > 1)


class Squaring(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.square())


class Negated(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(-x)


def two() -> list[nn.Module]:
    return [ResidualBlock(6), ResidualBlock(6)]


KEPT = {
    "grouped": lambda: FeatureFusion(two(), conv(12, 6, 1, groups=2)),
    "activation first": lambda: FeatureFusion(two(), nn.Sequential(nn.Softplus(), conv(12, 6, 1))),
    "custom convolution": lambda: FeatureFusion(two(), Negated(12, 6, 1)),
    "custom sequence": lambda: FeatureFusion(two(), Squaring(conv(12, 6, 1))),
    "one block twice": lambda: FeatureFusion(two()[:1] * 2, conv(12, 6, 1)),
    "normalized": lambda: FeatureFusion(two(), PreActivatedConv(12, 6, 1)),
}


def test_other_fusions_are_kept() -> None:
    reason = "requires an ungrouped convolution of the outputs of two or more blocks"
    for case, build in KEPT.items():
        rewritten = checked(around(build()), case=case, **ALONE)
        assert (names(rewritten), reasons(rewritten, "accumulation")) == (set(), [reason]), case


def test_shared_and_nested_fusions_are_rewritten() -> None:
    inner = FeatureFusion(two(), conv(12, 6, 1))
    outer = FeatureFusion([nn.Sequential(inner, nn.Softplus()), nn.Sequential(inner)], conv(12, 6, 1))
    assert names(checked(around(nn.Sequential(inner, outer)), **ALONE)) == {"accumulation"}


def test_fusions_that_share_their_convolution_are_exact() -> None:
    fuse = conv(12, 6, 1)
    checked(around(nn.Sequential(FeatureFusion(two(), fuse), nn.Softplus(), FeatureFusion(two(), fuse))), **ALONE)


class Memories(nn.Module):
    """Memory blocks that each receive all earlier memories."""

    def __init__(self, count: int, recursions: int, *, norm: object, bias: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            MemoryBlock(6, memories=i + 1, recursions=recursions, norm=norm, bias=bias) for i in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        memories = [x]
        for block in self.blocks:
            memories = [*memories, block(memories)]
        return memories[-1]


NORMS = {
    "batch": nn.BatchNorm2d,
    "none": None,
    "without weights": partial(nn.BatchNorm2d, affine=False),
    "other eps": partial(nn.BatchNorm2d, eps=0.5),
    "without statistics": partial(nn.BatchNorm2d, track_running_stats=False),
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "group": partial(nn.GroupNorm, 2),
}


def test_memory_blocks_with_any_norm_are_exact() -> None:
    for (name, norm), bias in itertools.product(NORMS.items(), (True, False)):
        net = around(Memories(3, 2, norm=norm, bias=bias))
        for options in (ALONE, {}):
            rewritten = checked(net, (3, 3), (5, 4), case=(name, bias), **options)
            if name in ("batch", "none"):
                assert [decision.rewrite for decision in rewritten.rewrites.applied].count("accumulation") == 3, name


def test_memory_block_with_a_replaced_recursion_is_exact() -> None:
    for skip in ("source", "none"):
        memories = Memories(2, 2, norm=nn.BatchNorm2d, bias=True)
        memories.blocks[1].recursive = RecursiveBlock(6, recursions=2, skip=skip)
        checked(around(memories), case=skip, **ALONE)


class Doubling(RecursiveBlock):
    def states(self, x: Tensor) -> list[Tensor]:
        return [2 * state for state in super().states(x)]


def test_recursion_with_custom_states_keeps_them() -> None:
    checked(around(Doubling(6, recursions=2)))
    memories = Memories(1, 2, norm=nn.BatchNorm2d, bias=True)
    memories.blocks[0].recursive = Doubling(6, recursions=2)
    checked(around(memories))


def test_back_projection_is_exact_in_either_order() -> None:
    for case in itertools.product(((1, None), (2, 3), (4, None), (4, 1)), (True, False)):
        (stages, recursions), newest_first = case
        options = {"stages": stages, "recursions": recursions, "newest_first": newest_first, "mean_shift": True}
        net = randomize(DDBPN(scale=2, width=4, head_width=6, image_skip=stages == 2, shared_slope=False, **options))
        for without in (all_but("accumulation"), ()):
            assert "accumulation" in names(checked(net, (2, 2), (5, 4), case=case, without=without)), case


def iterative(**slots: object) -> Network:
    arguments = {
        "head": nn.Sequential(conv(3, 4), nn.Softplus()),
        "first": UpProjection(4, 2),
        "downs": [DownProjection(4 * (i + 1), 2, out_channels=4) for i in range(2)],
        "ups": [UpProjection(4 * (i + 1), 2, out_channels=4) for i in range(2)],
        "tail": conv(12, 3),
    }
    return randomize(IterativeUpsampling(scale=2, image_channels=3, **{**arguments, **slots}))


def test_units_without_a_bottleneck_are_kept() -> None:
    downs = [nn.Conv2d(4 * (i + 1), 4, 6, stride=2, padding=2) for i in range(2)]
    ups = [DeconvUp(4 * (i + 1), 2, out_channels=4) for i in range(2)]
    rewritten = checked(iterative(downs=downs, ups=ups), **ALONE)
    assert [decision.module for decision in rewritten.rewrites.applied] == ["tail_join"]


def test_maps_of_unequal_widths_and_grouped_tails_are_kept() -> None:
    wider = iterative(
        first=nn.Sequential(UpProjection(4, 2), conv(4, 6)),
        downs=[DownProjection(6, 2, out_channels=4), DownProjection(10, 2, out_channels=4)],
        tail=conv(14, 3),
    )
    applied = [decision.module for decision in checked(wider, **ALONE).rewrites.applied]
    assert applied == ["up_joins.1"]
    grouped = checked(iterative(tail=conv(12, 3, groups=3)), **ALONE)
    assert "tail_join" not in [decision.module for decision in grouped.rewrites.applied]


class Reversing(IterativeUpsampling):
    """A network that joins its feature maps in a custom order."""

    def _pass(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        highs, low = super()._pass(x)
        return highs[::-1], low + torch.cat(highs[:1], 1).mean((2, 3), keepdim=True)


def test_custom_pass_that_uses_the_joins_is_exact() -> None:
    slots = {name: iterative()._modules[name] for name in ("head", "first", "tail")}
    lists = {name: list(iterative()._modules[name]) for name in ("downs", "ups")}
    checked(randomize(Reversing(scale=2, image_channels=3, **slots, **lists)), **ALONE)
