"""Folding of normalizations and multipliers into the convolutions directly before them."""

from functools import partial
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.rewriting import all_but, around, assert_equal, checked, names, reasons
from srblocks import optimize
from srblocks.blocks import RCAB, RRDB, RecursiveBlock, ResidualBlock, ResidualDenseBlock, ResidualGroup, conv

NORM = {"without": all_but("norm_folding")}
SCALE = {"without": all_but("res_scale_folding")}
UNTRACKED = partial(nn.BatchNorm2d, track_running_stats=False)
PLAIN = partial(nn.BatchNorm2d, affine=False)


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) for module in net.modules())


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    groups=st.sampled_from([1, 2, 6]),
    bias=st.booleans(),
    norm=st.sampled_from([nn.BatchNorm2d, PLAIN, partial(nn.BatchNorm2d, eps=0.5)]),
)
def test_norm_is_folded_into_any_convolution_before_it(
    kernel: tuple[int, int], stride: int, dilation: int, mode: str, groups: int, bias: bool, norm: partial
) -> None:
    padding = tuple(dilation * (side - 1) for side in kernel)
    layer = nn.Conv2d(6, 6, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias, padding_mode=mode)
    net = around(nn.Sequential(layer, norm(6), nn.Softplus(), nn.AdaptiveAvgPool2d((8, 9))), min_size=8)
    rewritten = checked(net, (8, 9), **NORM)
    assert (names(rewritten), norms(rewritten)) == ({"norm_folding"}, 0)


def test_norms_of_residual_blocks_and_after_them_are_folded() -> None:
    for case in product((None, True, False), (nn.PReLU, partial(nn.ReLU, inplace=True))):
        bias, act = case
        blocks = [ResidualBlock(6, norm=nn.BatchNorm2d, act=act, bias=bias) for _ in range(2)]
        body = nn.Sequential(*blocks, conv(6, 6, bias=bool(bias)), nn.BatchNorm2d(6))
        assert norms(checked(around(body, long_skip=True), case=case, **NORM)) == 0, case


@settings(max_examples=15, deadline=None)
@given(
    recursions=st.integers(1, 3),
    depth=st.integers(1, 3),
    pre_activation=st.booleans(),
    skip=st.sampled_from(["source", "previous", "none"]),
    norm=st.sampled_from([nn.BatchNorm2d, nn.InstanceNorm2d, UNTRACKED, None]),
    inplace=st.booleans(),
)
def test_recursions_keep_only_norms_before_their_first_convolution(
    recursions: int, depth: int, pre_activation: bool, skip: str, norm: partial | None, inplace: bool
) -> None:
    if norm is None and pre_activation:
        inplace = False  # such a block overwrites its input
    act = partial(nn.ReLU, inplace=inplace)
    options = {"recursions": recursions, "depth": depth, "pre_activation": pre_activation, "skip": skip}
    block = RecursiveBlock(6, norm=norm, act=act, **options)
    rewritten = checked(around(block), (2, 2), (5, 4), **NORM)
    assert norms(rewritten) == (recursions * pre_activation if norm is nn.BatchNorm2d else norms(block))


KEPT_NORMS = {
    "instance": lambda: nn.Sequential(conv(6, 6), nn.InstanceNorm2d(6, affine=True)),
    "instance with statistics": lambda: nn.Sequential(conv(6, 6), nn.InstanceNorm2d(6, track_running_stats=True)),
    "without statistics": lambda: nn.Sequential(conv(6, 6), UNTRACKED(6)),
    "after an activation": lambda: nn.Sequential(conv(6, 6), nn.Softplus(), nn.BatchNorm2d(6)),
    "before": lambda: nn.Sequential(nn.BatchNorm2d(6), conv(6, 6)),
    "after a sum": lambda: nn.Sequential(ResidualGroup(6, depth=1), nn.BatchNorm2d(6)),
    "after a transposed convolution": lambda: nn.Sequential(nn.ConvTranspose2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)),
    "group": lambda: nn.Sequential(conv(6, 6), nn.GroupNorm(2, 6)),
    "in a block": lambda: ResidualBlock(6, norm=partial(nn.InstanceNorm2d, affine=True)),
}


def test_other_norms_are_kept() -> None:
    for case, build in KEPT_NORMS.items():
        assert names(checked(around(build()), (3, 3), (5, 4), case=case, **NORM)) == set(), case


def test_norm_after_a_skip_is_kept() -> None:
    net = around(
        conv(6, 6), long_skip=True, upsampler=nn.Sequential(nn.BatchNorm2d(6), conv(6, 24), nn.PixelShuffle(2))
    )
    assert names(checked(net, **NORM)) == set()


def test_report_explains_why_a_norm_is_kept() -> None:
    report = [KEPT_NORMS[name]() for name in ("without statistics", "after an activation")]
    (untracked,), (after,) = (reasons(optimize(around(body), **NORM), "norm_folding") for body in report)
    assert untracked.startswith("BatchNorm2d computes")
    assert after == "it follows Softplus, not a convolution"


def test_shared_convolution_absorbs_each_norm_after_it() -> None:
    shared = conv(6, 6)
    layers = [shared, nn.BatchNorm2d(6), shared, nn.Softplus(), nn.Sequential(shared, nn.BatchNorm2d(6)), shared]
    net = around(nn.Sequential(*layers))
    rewritten = checked(net, **NORM)
    assert norms(rewritten) == 0
    assert rewritten.body[2] is rewritten.body[5]


def test_shared_norm_is_folded_into_each_convolution_before_it() -> None:
    norm = nn.BatchNorm2d(6)
    layers = [conv(6, 6), norm, nn.Softplus(), norm, conv(6, 6), norm, nn.Softplus()]
    assert norms(checked(around(nn.Sequential(*layers)), **NORM)) == 1


def test_shared_block_stays_shared() -> None:
    block = ResidualBlock(6, norm=nn.BatchNorm2d, res_scale=0.3)
    rewritten = checked(around(nn.Sequential(*[block, nn.Softplus()] * 3)))
    assert {"norm_folding", "res_scale_folding"} <= names(rewritten)
    assert rewritten.body[0] is rewritten.body[2] is rewritten.body[4]


def test_blocks_that_share_convolutions_but_not_norms_are_exact() -> None:
    first, second = (ResidualBlock(6, norm=nn.BatchNorm2d, res_scale=scale) for scale in (0.3, 0.7))
    second.conv1, second.conv2 = first.conv1, first.conv2
    checked(around(nn.Sequential(first, second)))


def test_norm_after_a_shared_container_is_kept() -> None:
    shared = nn.Sequential(conv(6, 6), nn.BatchNorm2d(6), nn.Softplus(), conv(6, 6))
    body = nn.Sequential(shared, nn.BatchNorm2d(6), nn.Softplus(), shared, nn.Softplus())
    assert norms(checked(around(body), **NORM)) == 1


@settings(max_examples=12, deadline=None)
@given(
    res_scale=st.sampled_from([0.0, 0.1, -2.0, 1.0]),
    bias=st.booleans(),
    kernel=st.sampled_from([1, 3, 5]),
    out_act=st.sampled_from([None, nn.ReLU, nn.PReLU]),
)
def test_multipliers_are_folded_into_the_convolution_before_them(
    res_scale: float, bias: bool, kernel: int, out_act: type[nn.Module] | None
) -> None:
    block = ResidualBlock(6, kernel_size=kernel, bias=bias, res_scale=res_scale, out_act=out_act)
    dense = ResidualDenseBlock(6, growth=4, depth=2, res_scale=res_scale, fuse_bias=bias, fuse_kernel=kernel)
    rewritten = checked(around(nn.Sequential(block, dense)), **SCALE)
    assert (names(rewritten) == {"res_scale_folding"}) is (res_scale != 1)
    assert (rewritten.body[0].res_scale, rewritten.body[1].res_scale) == (1.0, 1.0)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_multiplier_after_a_norm_is_folded_if_the_norm_is(norm: type[nn.Module]) -> None:
    net = around(ResidualBlock(6, norm=norm, res_scale=0.1))
    assert names(checked(net, (3, 3), (5, 4), **SCALE)) == set()
    rewritten = checked(net, (3, 3), (5, 4), without=["in_place"])
    assert names(rewritten) == ({"norm_folding", "res_scale_folding"} if norm is nn.BatchNorm2d else set())


def test_multiplier_of_a_gated_branch_is_kept() -> None:
    rewritten = checked(around(RCAB(6, reduction=2, res_scale=0.1)), **SCALE)
    assert reasons(rewritten, "res_scale_folding") == ["its branch does not end in a convolution"]
    assert rewritten.body.res_scale == 0.1


def test_outer_multiplier_of_rrdb_is_kept() -> None:
    rewritten = checked(around(RRDB(6, growth=4, res_scale=0.2)))
    assert rewritten.body.res_scale == 0.2
    assert sum(decision.rewrite == "res_scale_folding" for decision in rewritten.rewrites.applied) == 3


class Absolute(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).abs()


def test_convolution_with_a_custom_forward_is_exact() -> None:
    residual = ResidualBlock(6, res_scale=-0.3)
    residual.conv2 = Absolute(6, 6, 3, padding=1)
    dense = ResidualDenseBlock(6, growth=3, depth=2, res_scale=-0.3)
    dense.fuse = Absolute(12, 6, 1)
    for block in (residual, dense):
        checked(around(block), case=type(block), **SCALE)


def test_float32_norms_are_folded_without_loss() -> None:
    body = nn.Sequential(*(ResidualBlock(6, norm=nn.BatchNorm2d) for _ in range(3)))
    double = around(body)
    assert_equal(optimize(double.float(), **NORM), double, tolerance=2e-6)


def test_bfloat16_norms_with_small_statistics_are_folded() -> None:
    net = around(nn.Sequential(conv(6, 6), nn.BatchNorm2d(6)))
    net.body[1].running_var.fill_(1e-3)
    with torch.no_grad():
        net.body[0].weight.mul_(0.03)
    assert_equal(optimize(net.to(torch.bfloat16), **NORM), net, (5, 6), tolerance=0.15)
