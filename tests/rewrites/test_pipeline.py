"""`optimize`: refused arguments, report, multi-scale networks, wrappers, copies."""

import copy
import io
import pickle
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
    """A network on luma whose tail collapses."""
    slots = {"head": conv(1, 6), "body": ResidualBlock(6), "upsampler": PixelShuffleUp(6, scale), "tail": conv(6, 1)}
    return randomize(PostUpsampling(scale=scale, image_channels=1, long_skip=True, **slots))


def test_an_unknown_rewrite_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown rewrite tail_colapse; available: norm_folding, res_scale_folding"):
        optimize(luma_tail(), without=["tail_collapse", "tail_colapse"])
    with pytest.raises(ValueError, match="unknown rewrite"):
        optimize(luma_tail(), without="tail_collapse")


def test_only_networks_are_accepted_and_wrappers_are_named() -> None:
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


def test_an_optimized_network_is_not_optimized_again() -> None:
    with pytest.raises(ValueError, match="already optimized; pass the original network"):
        optimize(optimize(luma_tail()))
    with pytest.raises(ValueError, match="already optimized"):
        optimize(optimize(luma_tail(), without=REWRITES))


@pytest.mark.parametrize("wrap", [False, True])
def test_an_optimized_network_has_one_scale_and_no_checkpoint(wrap: bool, tmp_path: Path) -> None:
    net = small_network(network_spec("fsrcnn"))
    rewritten = optimize(OnLuma(net) if wrap else net)
    with pytest.raises(ValueError, match="optimized for x2 only; call at_scale before optimize"):
        rewritten.at_scale(2)
    for part in (rewritten, rewritten.net) if wrap else (rewritten,):
        with pytest.raises(ValueError, match="an optimized network cannot be saved"):
            save_checkpoint(part, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_nothing_to_rewrite_returns_an_equal_network_and_an_empty_report() -> None:
    net = around()
    rewritten = checked(net, without=REWRITES)
    assert (str(rewritten.rewrites), rewritten.rewrites.to_manifest()) == ("nothing to rewrite", [])
    assert str(rewritten) == str(net)


def test_the_report_groups_modules_and_puts_what_was_rewritten_first() -> None:
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


@pytest.mark.parametrize("name", ["rcan", "memnet", "dbpn_ss"])
def test_every_decision_names_a_rewrite_and_a_place_of_the_network(name: str) -> None:
    net, rewritten = pair(name, min(network_spec(name).scales))
    for decision in rewritten.rewrites.decisions:
        assert decision.rewrite in REWRITES
        assert decision.reason
        assert next(iter(decision.module.split("."))) in dict(net.named_children())
    order = [list(REWRITES).index(decision.rewrite) for decision in rewritten.rewrites.decisions]
    assert order == sorted(order)


@pytest.mark.parametrize("name", MULTI_SCALE)
def test_a_network_of_several_scales_is_optimized_at_its_own_and_stays_as_it_was(name: str) -> None:
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
        assert_equal(rewritten, net)
    state = {key: tensor.clone() for key, tensor in multi_scale.state_dict().items()}
    text = str(multi_scale)
    rewritten = optimize(multi_scale)
    assert_equal(rewritten, multi_scale)
    assert not frozen.requires_grad
    assert (str(multi_scale), multi_scale.scales, multi_scale.rewrites) == (text, tuple(multi_scale.scales), None)
    assert all(torch.equal(tensor, state[key]) for key, tensor in multi_scale.state_dict().items())
    assert list(shared_tensors(rewritten, multi_scale)) == []


def test_a_replaced_module_of_a_network_of_several_scales_is_kept() -> None:
    net = randomize(create_network("mdsr_baseline", depth=1, width=8))
    net.body[0].act = nn.Tanh()
    checked(net)


@pytest.mark.parametrize("raised", [True, False])
def test_a_network_inside_another_is_rewritten_and_both_declare_the_size(raised: bool) -> None:
    min_size = None if raised else 2
    net = OnLuma(luma_tail())
    rewritten = checked(net, (1, 1), (5, 7), min_size=min_size)
    assert ("tail_collapse" in names(rewritten)) is raised
    expected = (tail_collapse.MIN_SIZE, tail_collapse.MIN_SIZE) if raised else (2, 1)
    assert (rewritten.min_size, rewritten.net.min_size) == expected
    assert relative_error(torch.jit.script(rewritten)(lr := image(rewritten, 5, 6)), net(lr)) < EXACT


def test_a_network_on_ycbcr_is_rewritten() -> None:
    slots = {"head": conv(3, 6), "body": nn.Identity(), "upsampler": PixelShuffleUp(6, 3), "tail": conv(6, 3)}
    net = OnYCbCr(randomize(PostUpsampling(scale=3, image_channels=3, color="ycbcr", **slots)))
    rewritten = checked(net)
    assert "tail_collapse" in names(rewritten)
    assert rewritten.min_size == rewritten.net.min_size == tail_collapse.MIN_SIZE


def test_a_network_of_several_scales_inside_another_is_optimized_at_its_scale() -> None:
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


def test_a_network_that_another_runs_on_single_rows_keeps_its_smallest_size() -> None:
    rewritten = checked(Twice(luma_tail()), (2, 2), (5, 7))
    assert (rewritten.min_size, rewritten.net.min_size) == (2, 1)


def test_a_tail_after_attention_by_quarters_is_rewritten() -> None:
    body = RegionNonLocal(NonLocal(6, inner_channels=3))
    net = around(body, min_size=2, upsampler=nn.Sequential(conv(6, 32), nn.PixelShuffle(2)), tail=conv(8, 3))
    assert "tail_collapse" in names(checked(net, (1, 1), (5, 7)))


@pytest.mark.parametrize("name", ["edsr_baseline", "memnet", "rdn"])
def test_copies_pickles_and_states_of_an_optimized_network_are_the_same(name: str) -> None:
    rewritten = pair(name, 2)[1]
    lr = image(rewritten, 5, 6)
    stored = io.BytesIO()
    torch.save(rewritten, stored)
    stored.seek(0)
    copies = (
        copy.deepcopy(rewritten),
        pickle.loads(pickle.dumps(rewritten)),
        torch.load(stored, weights_only=False),
    )
    for copied in copies:
        assert torch.equal(copied(lr), rewritten(lr))
        for attribute in ("rewrites", "config", "min_size"):
            assert getattr(copied, attribute) == getattr(rewritten, attribute)
    other = optimize(small_network(network_spec(name), 2))
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    other.load_state_dict(rewritten.state_dict())
    assert torch.equal(other(lr), rewritten(lr))


@pytest.mark.parametrize("name", ["edsr_baseline", "memnet", "rdn", "fsrcnn", "dbpn_ss", "rcan"])
def test_the_dtype_is_kept(name: str) -> None:
    tolerances = {torch.float16: 0.05, torch.bfloat16: 0.4, torch.float32: 1e-4}
    for dtype, tolerance in tolerances.items():
        net = small_network(network_spec(name), 2).to(dtype)
        rewritten = optimize(net)
        floating = [tensor for tensor in rewritten.state_dict().values() if tensor.is_floating_point()]
        assert {tensor.dtype for tensor in floating} == {dtype}
        assert_equal(rewritten, net, (5, 6), tolerance=tolerance)
        assert rewritten(image(rewritten, 5, 6)).dtype == dtype


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_runs_under_any_gradient_mode(guard: type) -> None:
    net = luma_tail()
    with guard():
        rewritten = optimize(net)
    assert_equal(rewritten, net)
    lr = image(rewritten, 5, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(rewritten(lr).square().sum(), lr)
    (expected,) = torch.autograd.grad(net(lr).square().sum(), lr)
    assert relative_error(gradient, expected) < 10 * EXACT


def test_it_runs_under_another_default_precision() -> None:
    net = luma_tail().float()
    torch.set_default_dtype(torch.float64)
    try:
        rewritten = optimize(net)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {tensor.dtype for tensor in rewritten.parameters()} == {torch.float32}
    assert_equal(rewritten, net, tolerance=2e-5)


class Alone(Network):
    """A network without a single parameter."""

    def __init__(self) -> None:
        super().__init__(scale=2, image_channels=3)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, lr: Tensor) -> Tensor:
        return self.up(lr)


def test_a_network_without_parameters_is_left_as_it_is() -> None:
    lr = torch.rand(1, 3, 4, 5)
    assert torch.equal(optimize(Alone())(lr), Alone()(lr))
