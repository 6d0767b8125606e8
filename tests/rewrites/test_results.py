"""Properties of optimized networks, and of the original networks, which must not change."""

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
    return pair(spec.name, min(spec.scales))[1]


def test_the_original_is_unchanged_and_shares_nothing_with_the_result(net: Network) -> None:
    next(net.parameters()).requires_grad_(False)
    lr = image(net, 9, 14)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    gradients = [parameter.requires_grad for parameter in net.parameters()]
    attributes = (str(net), net.config.copy(), net.scales, net.min_size)
    with torch.random.fork_rng(), torch.no_grad():
        before = net.eval()(lr)
    for training in (True, False):
        rewritten = optimize(net.train(training))
        assert all(module.training is training for module in net.modules())
    assert (str(net), net.config, net.scales, net.min_size, net.rewrites) == (*attributes, None)
    assert [parameter.requires_grad for parameter in net.parameters()] == gradients
    assert net.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert list(shared_tensors(rewritten, net)) == []
    with torch.no_grad():
        assert torch.equal(net(lr), before)


def test_the_result_is_for_inference_and_has_the_attributes_of_the_original(net: Network, optimized: Network) -> None:
    assert not any(module.training for module in optimized.modules())
    assert not any(parameter.requires_grad for parameter in optimized.parameters())
    attributes = ("config", "scale", "color", "image_channels", "size_multiple")
    assert [getattr(optimized, name) for name in attributes] == [getattr(net, name) for name in attributes]
    assert type(optimized) is type(net)
    assert optimized.scales == (net.scale,)
    assert {tensor.dtype for tensor in optimized.parameters()} == {torch.float64}


def test_gradients_and_intermediate_outputs_equal_those_of_the_original(net: Network, optimized: Network) -> None:
    def gradient(of: Network) -> torch.Tensor:
        lr = image(optimized, 8, 5, batch=1).requires_grad_()
        output = of(lr)
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view(output.shape)
        return torch.autograd.grad((weights * output).sum(), lr)[0]

    assert relative_error(gradient(optimized), gradient(net)) < 10 * exactness(net)
    lr = image(optimized, 9, 5)
    actual, expected = optimized.intermediate_outputs(lr), net.intermediate_outputs(lr)
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) <= exactness(net)


def test_optimizing_again_gives_the_same_result(net: Network, optimized: Network) -> None:
    lr = image(optimized, 9, 5)
    assert torch.equal(optimized(lr), optimized(lr))
    again = optimize(net)
    assert again.rewrites == optimized.rewrites
    state = optimized.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())


def test_optimize_draws_no_random_numbers() -> None:
    net = create_network("srresnet", scale=2, depth=1, width=8)
    before = torch.get_rng_state()
    optimize(net)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_items_are_independent(optimized: Network) -> None:
    lr = image(optimized, 5, 6, batch=3)
    alone = torch.cat([optimized(item) for item in lr.split(1)])
    assert relative_error(optimized(lr), alone) < exactness(optimized)
    assert torch.equal(optimized(lr[[0, 1, 1]])[1:2], optimized(lr[[0, 1, 1]])[2:])


def test_only_border_kernels_raise_min_size_and_smaller_images_are_refused(spec: NetworkSpec) -> None:
    net, rewritten = pair(spec.name, min(spec.scales))
    report = rewritten.rewrites
    if not any("border kernels" in decision.reason for decision in report.applied):
        assert rewritten.min_size == net.min_size
        return
    step, min_size = net.size_multiple, max(net.min_size, tail_collapse.MIN_SIZE)
    assert "tail_collapse" in names(rewritten)
    assert rewritten.min_size == -(-min_size // step) * step
    if rewritten.min_size > net.min_size:
        small = torch.rand(1, net.image_channels, rewritten.min_size - step, 9 * step, dtype=torch.float64)
        net(small)
        with pytest.raises(ValueError, match=rf"H, W >= {min_size}"):
            rewritten(small)


def test_min_size_is_kept_on_request(spec: NetworkSpec, net: Network) -> None:
    rewritten = optimize(net, min_size=net.min_size)
    assert rewritten.min_size == net.min_size
    assert_equal(rewritten, net, (1, 1), (net.min_size, 7), (6, 9))
    raised = pair(spec.name, net.scale)[1].min_size > net.min_size
    declined = [decision.reason for decision in rewritten.rewrites.declined]
    assert any(f"but min_size={net.min_size} is required" in reason for reason in declined) == raised


def test_the_full_size_tail_of_edsr_becomes_one_convolution() -> None:
    rewritten = optimize(create_network("edsr_baseline", scale=4, depth=1), min_size=4)
    report = str(rewritten.rewrites)
    assert "one 5x5 convolution with border kernels and one pixel shuffle x4" in report
    lr = torch.rand(1, 3, 8, 9)
    assert rewritten(lr).shape == (1, 3, 32, 36)
