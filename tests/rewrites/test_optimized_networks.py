"""Properties of optimized networks, and of the original networks, which must not change."""

import copy
import io
import pickle

import pytest
import torch

from helpers.rewriting import assert_equal, exactness, image, names, pair, shared_tensors
from helpers.small_networks import small_network
from helpers.support import relative_error
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.registry import NetworkSpec
from srblocks.rewrites import tail_collapse

pytestmark = pytest.mark.one_of_each_class


@pytest.fixture
def net(spec: NetworkSpec) -> Network:
    return small_network(spec)


@pytest.fixture
def optimized(spec: NetworkSpec) -> Network:
    return pair(spec.name, spec.default_scale)[1]


def test_optimize_is_deterministic_and_leaves_the_original_unchanged(net: Network) -> None:
    next(net.parameters()).requires_grad_(False)
    lr = image(net, 9, 14)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    gradients = [parameter.requires_grad for parameter in net.parameters()]
    attributes = (str(net), net.config.copy(), net.scales, net.min_size)
    with torch.no_grad():
        before = net.eval()(lr)
    results: list[Network] = []
    for training in (True, False):
        results.append(optimize(net.train(training)))
        assert all(module.training is training for module in net.modules())
    assert (str(net), net.config, net.scales, net.min_size, net.rewrites) == (*attributes, None)
    assert [parameter.requires_grad for parameter in net.parameters()] == gradients
    assert net.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert list(shared_tensors(results[1], net)) == []
    with torch.no_grad():
        assert torch.equal(net(lr), before)
    first, second = (result.state_dict() for result in results)
    assert results[0].rewrites == results[1].rewrites
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_attributes_gradients_and_intermediate_outputs_are_kept(net: Network, optimized: Network) -> None:
    def gradient(of: Network) -> torch.Tensor:
        lr = image(optimized, 8, 5, batch=1).requires_grad_()
        output = of(lr)
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view(output.shape)
        return torch.autograd.grad((weights * output).sum(), lr)[0]

    assert not any(module.training for module in optimized.modules())
    assert not any(parameter.requires_grad for parameter in optimized.parameters())
    attributes = ("config", "scale", "color", "image_channels", "size_multiple")
    assert [getattr(optimized, name) for name in attributes] == [getattr(net, name) for name in attributes]
    assert type(optimized) is type(net)
    assert optimized.scales == (net.scale,)
    assert {tensor.dtype for tensor in optimized.parameters()} == {torch.float64}
    assert relative_error(gradient(optimized), gradient(net)) < 10 * exactness(net)
    lr = image(optimized, 9, 5)
    actual, expected = optimized.intermediate_outputs(lr), net.intermediate_outputs(lr)
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) <= exactness(net)


def test_output_is_independent_of_batch_and_memory_format(optimized: Network) -> None:
    bound, min_size = exactness(optimized), optimized.min_size
    lr = image(optimized, 7, 10, batch=3)
    sr = optimized(lr)
    assert torch.equal(optimized(lr), sr)
    assert relative_error(torch.cat([optimized(item) for item in lr.split(1)]), sr) <= bound
    repeated = optimized(lr[[0, 1, 1]])
    assert relative_error(repeated[1], repeated[2]) <= bound
    wide = image(optimized, 2 * min_size, 3 * min_size)
    window = wide[:, :, min_size:, min_size : 2 * min_size]
    channels_last = image(optimized, 1, 1).contiguous(memory_format=torch.channels_last)
    for view in (window, wide.transpose(2, 3), channels_last):
        assert relative_error(optimized(view), optimized(view.contiguous())) <= bound
    laid_out = copy.deepcopy(optimized).to(memory_format=torch.channels_last)
    assert relative_error(laid_out(lr.contiguous(memory_format=torch.channels_last)), sr) <= bound


def test_copies_pickles_and_loaded_states_compute_the_same(net: Network, optimized: Network) -> None:
    lr = image(optimized, 5, 6)
    expected = optimized(lr)
    file = io.BytesIO()
    torch.save(optimized, file)
    copies = {
        "deepcopy": copy.deepcopy(optimized),
        "pickle": pickle.loads(pickle.dumps(optimized)),
        "torch.save": torch.load(io.BytesIO(file.getvalue()), weights_only=False),
    }
    for way, copied in copies.items():
        assert torch.equal(copied(lr), expected), way
        for attribute in ("rewrites", "config", "min_size"):
            assert getattr(copied, attribute) == getattr(optimized, attribute), way
    other = optimize(net)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    other.load_state_dict(optimized.state_dict())
    assert torch.equal(other(lr), expected)


def test_only_border_kernels_raise_min_size_unless_it_is_required(net: Network, optimized: Network) -> None:
    step, min_size = net.size_multiple, max(net.min_size, tail_collapse.MIN_SIZE)
    if any("border kernels" in decision.reason for decision in optimized.rewrites.applied):
        assert "tail_collapse" in names(optimized)
        assert optimized.min_size == -(-min_size // step) * step
    else:
        assert optimized.min_size == net.min_size
    raised = optimized.min_size > net.min_size
    if raised:
        small = torch.rand(1, net.image_channels, optimized.min_size - step, 9 * step, dtype=torch.float64)
        net(small)
        with pytest.raises(ValueError, match=rf"H, W >= {min_size}"):
            optimized(small)
    required = optimize(net, min_size=net.min_size)
    assert required.min_size == net.min_size
    assert_equal(required, net, (1, 1), (net.min_size, 7), (6, 9))
    reasons = [decision.reason for decision in required.rewrites.declined]
    assert any(f"but min_size={net.min_size} is required" in reason for reason in reasons) == raised


def test_optimize_draws_no_random_numbers() -> None:
    net = create_network("srresnet", scale=2, depth=1, width=8)
    before = torch.get_rng_state()
    optimize(net)
    assert torch.equal(torch.get_rng_state(), before)


def test_tail_of_edsr_at_full_width_becomes_one_convolution() -> None:
    net = create_network("edsr_baseline", scale=4, depth=1).eval()
    rewritten = optimize(net, min_size=4)
    assert "one 5x5 convolution with border kernels and one pixel shuffle x4" in str(rewritten.rewrites)
    assert_equal(rewritten, net, (8, 9), tolerance=1e-4)
