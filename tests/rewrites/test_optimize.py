"""`optimize`: invalid arguments, report, multi-scale networks, wrappers, dtypes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helpers.rewriting import EXACT, around, assert_equal, checked, image, names, pair, shared_tensors
from helpers.small_networks import randomize, small_network
from helpers.support import relative_error
from srblocks import OnLuma, OnYCbCr, create_network, optimize, save_checkpoint
from srblocks.blocks import NonLocal, RegionNonLocal, ResidualBlock, conv
from srblocks.frameworks import PostUpsampling
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.rewrites import REWRITES, Decision, Report, tail_collapse
from srblocks.upsampling import PixelShuffleUp

MULTI_SCALE = ("carn", "lapsrn", "mdsr_baseline", "ms_lapsrn", "prosr_s")


def luma_tail(scale: int = 2) -> Network:
    """Return a network on luma whose tail collapses."""
    slots = {"head": conv(1, 6), "body": ResidualBlock(6), "upsampler": PixelShuffleUp(6, scale), "tail": conv(6, 1)}
    return randomize(PostUpsampling(scale=scale, image_channels=1, long_skip=True, **slots))


def test_unknown_rewrite_raises_an_error() -> None:
    with pytest.raises(ValueError, match="unknown rewrite tail_colapse; available: reparameterization, norm_folding"):
        optimize(luma_tail(), without=["tail_collapse", "tail_colapse"])
    with pytest.raises(ValueError, match="unknown rewrite"):
        optimize(luma_tail(), without="tail_collapse")


def test_other_modules_raise_an_error_that_names_the_wrapped_network() -> None:
    class Compiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = luma_tail()

    with pytest.raises(TypeError, match=r"expected a srblocks\.Network, got Conv2d; derive your class"):
        optimize(nn.Conv2d(3, 3, 1))
    with pytest.raises(TypeError, match=r"got DataParallel; pass net\.module"):
        optimize(nn.DataParallel(luma_tail()))
    with pytest.raises(TypeError, match=r"got Compiled; pass net\._orig_mod"):
        optimize(Compiled())


def test_optimizing_an_optimized_network_raises_an_error() -> None:
    with pytest.raises(ValueError, match="already optimized; pass the original network"):
        optimize(optimize(luma_tail()))
    with pytest.raises(ValueError, match="already optimized"):
        optimize(optimize(luma_tail(), without=REWRITES))


def test_optimized_network_has_one_scale_and_cannot_be_saved(tmp_path: Path) -> None:
    net = small_network(network_spec("fsrcnn"))
    plain, wrapped = optimize(net), optimize(OnLuma(net))
    for rewritten in (plain, wrapped):
        with pytest.raises(ValueError, match="optimized for x2 only; call at_scale before optimize"):
            rewritten.at_scale(2)
    for rewritten in (plain, wrapped, wrapped.net):
        with pytest.raises(ValueError, match="an optimized network cannot be saved"):
            save_checkpoint(rewritten, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_without_rewrites_the_network_is_equal_and_the_report_empty() -> None:
    net = around()
    rewritten = checked(net, without=REWRITES)
    assert (str(rewritten.rewrites), rewritten.rewrites.to_manifest()) == ("nothing to rewrite", [])
    assert str(rewritten) == str(net)


def test_report_groups_modules_and_lists_applied_rewrites_first() -> None:
    decisions = (
        Decision("norm_folding", "body.9", False, "it follows PReLU, not a convolution"),
        Decision("norm_folding", "body.0.norm1", True, "folded into the convolution before it"),
        Decision("norm_folding", "body.0.norm2", True, "folded into the convolution before it"),
        Decision("in_place", "body.0", True, "in-place sum"),
        Decision("norm_folding", "body.1.norm2", True, "folded into the convolution before it"),
    )
    report = Report(decisions)
    assert str(report).splitlines() == [
        "in_place: rewrote body.0: in-place sum",
        "norm_folding: rewrote body.0.norm1 and 2 more: folded into the convolution before it",
        "norm_folding: kept body.9: it follows PReLU, not a convolution",
    ]
    assert report.to_manifest() == [
        {"name": "norm_folding", "result": "folded into the convolution before it", "modules": 3},
        {"name": "in_place", "result": "in-place sum", "modules": 1},
    ]
    assert (len(report.applied), report.declined) == (4, decisions[:1])


@pytest.mark.parametrize("name", ["rcan", "memnet"])
def test_decisions_name_rewrites_and_modules_in_order(name: str) -> None:
    net, rewritten = pair(name, min(network_spec(name).scales))
    for decision in rewritten.rewrites.decisions:
        assert decision.rewrite in REWRITES
        assert decision.reason
        assert next(iter(decision.module.split("."))) in dict(net.named_children())
    order = [list(REWRITES).index(decision.rewrite) for decision in rewritten.rewrites.decisions]
    assert order == sorted(order)


@pytest.mark.parametrize("name", MULTI_SCALE)
def test_multi_scale_network_is_optimized_at_each_scale_and_unchanged(name: str) -> None:
    spec = network_spec(name)
    arguments = {**spec.reduced, "width": 16}
    multi_scale = create_network(name, scale=None if "scales" in spec.arguments() else max(spec.scales), **arguments)
    multi_scale = randomize(multi_scale)
    frozen = next(multi_scale.parameters()).requires_grad_(False)
    assert len(multi_scale.scales) > 1
    for scale in multi_scale.scales:
        net = multi_scale.at_scale(scale)
        frozen.requires_grad_(False)
        rewritten = optimize(net)
        assert (rewritten.scale, rewritten.scales) == (scale, (scale,))
        assert_equal(rewritten, net, (1, 1), (5, 4))
    state = {key: tensor.clone() for key, tensor in multi_scale.state_dict().items()}
    text = str(multi_scale)
    rewritten = optimize(multi_scale)
    assert_equal(rewritten, multi_scale, (5, 4))
    assert not frozen.requires_grad
    assert (str(multi_scale), multi_scale.scales, multi_scale.rewrites) == (text, tuple(multi_scale.scales), None)
    assert all(torch.equal(tensor, state[key]) for key, tensor in multi_scale.state_dict().items())
    assert list(shared_tensors(rewritten, multi_scale)) == []


def test_replaced_module_of_a_multi_scale_network_is_kept() -> None:
    net = randomize(create_network("mdsr_baseline", depth=1, width=8))
    net.body[0].act = nn.Tanh()
    checked(net)


@pytest.mark.parametrize("raised", [True, False])
def test_wrapped_network_is_rewritten_and_both_have_the_same_min_size(raised: bool) -> None:
    min_size = None if raised else 2
    net = OnLuma(luma_tail())
    rewritten = checked(net, (1, 1), (5, 7), min_size=min_size)
    assert ("tail_collapse" in names(rewritten)) is raised
    expected = (tail_collapse.MIN_SIZE, tail_collapse.MIN_SIZE) if raised else (2, 1)
    assert (rewritten.min_size, rewritten.net.min_size) == expected
    assert relative_error(torch.jit.script(rewritten)(lr := image(rewritten, 5, 6)), net(lr)) < EXACT


def test_network_on_ycbcr_is_rewritten() -> None:
    slots = {"head": conv(3, 6), "body": nn.Identity(), "upsampler": PixelShuffleUp(6, 3), "tail": conv(6, 3)}
    net = OnYCbCr(randomize(PostUpsampling(scale=3, image_channels=3, color="ycbcr", **slots)))
    rewritten = checked(net)
    assert "tail_collapse" in names(rewritten)
    assert rewritten.min_size == rewritten.net.min_size == tail_collapse.MIN_SIZE


def test_wrapped_multi_scale_network_is_optimized_at_its_scale() -> None:
    net = OnLuma(small_network(network_spec("lapsrn"), 4))
    rewritten = checked(net)
    assert (rewritten.scales, len(net.scales) > 1) == ((4,), True)


class Twice(Network):
    """A network that runs another one on the image and on its first row."""

    def __init__(self, net: Network) -> None:
        super().__init__(scale=2, image_channels=1, min_size=2)
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        return self.net(lr) + self.net(lr[:, :, :1])[:, :, :1]


def test_network_that_another_runs_on_single_rows_keeps_min_size() -> None:
    rewritten = checked(Twice(luma_tail()), (2, 2), (5, 7))
    assert (rewritten.min_size, rewritten.net.min_size) == (2, 1)


def test_tail_after_region_attention_is_rewritten() -> None:
    body = RegionNonLocal(NonLocal(6, inner_channels=3))
    net = around(body, min_size=2, upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)), tail=conv(8, 3))
    assert "tail_collapse" in names(checked(net, (1, 1), (5, 7)))


@pytest.mark.parametrize("name", ["memnet", "rdn", "fsrcnn", "dbpn_ss", "rcan"])
def test_dtype_is_kept(name: str) -> None:
    tolerances = {torch.float16: 0.05, torch.bfloat16: 0.4, torch.float32: 1e-4}
    for dtype, tolerance in tolerances.items():
        net = small_network(network_spec(name), 2).to(dtype)
        rewritten = optimize(net)
        floating = [tensor for tensor in rewritten.state_dict().values() if tensor.is_floating_point()]
        assert {tensor.dtype for tensor in floating} == {dtype}
        assert_equal(rewritten, net, (5, 6), tolerance=tolerance)
        assert rewritten(image(rewritten, 5, 6)).dtype == dtype


def test_optimize_works_in_any_gradient_mode() -> None:
    net = luma_tail()
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            rewritten = optimize(net)
        assert_equal(rewritten, net, case=mode)
        lr = image(rewritten, 5, 6).requires_grad_()
        (gradient,) = torch.autograd.grad(rewritten(lr).square().sum(), lr)
        (expected,) = torch.autograd.grad(net(lr).square().sum(), lr)
        assert relative_error(gradient, expected) < 10 * EXACT, mode


def test_optimize_works_with_another_default_dtype() -> None:
    net = luma_tail().float()
    torch.set_default_dtype(torch.float64)
    try:
        rewritten = optimize(net)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {tensor.dtype for tensor in rewritten.parameters()} == {torch.float32}
    assert_equal(rewritten, net, tolerance=2e-5)


class Parameterless(Network):
    """A network without parameters."""

    def __init__(self) -> None:
        super().__init__(scale=2, image_channels=3)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, lr: Tensor) -> Tensor:
        return self.up(lr)


def test_network_without_parameters_is_unchanged() -> None:
    lr = torch.rand(1, 3, 4, 5)
    assert torch.equal(optimize(Parameterless())(lr), Parameterless()(lr))
