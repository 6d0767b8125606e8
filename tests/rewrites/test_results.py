"""What an optimised network keeps of the one that it was made from, and that this one stays as it was."""

import pytest
import torch

from helpers.support import relative_error
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.registry import NetworkSpec
from srblocks.rewrites import tail_collapse

from .comparison import assert_equal, exactness, image, names, pair, shared_tensors, thin


@pytest.fixture
def net(spec: NetworkSpec) -> Network:
    return thin(spec)


@pytest.fixture
def optimised(spec: NetworkSpec) -> Network:
    return pair(spec.name, min(spec.scales))[1]


@pytest.mark.parametrize("training", [False, True])
def test_the_given_network_stays_as_it_was(net: Network, training: bool) -> None:
    net.train(training)
    next(net.parameters()).requires_grad_(False)
    lr = image(net, 9, 14)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    gradients = [parameter.requires_grad for parameter in net.parameters()]
    attributes = (str(net), net.config.copy(), net.scales, net.min_size)
    with torch.random.fork_rng(), torch.no_grad():
        before = net.eval()(lr)
    rewritten = optimize(net.train(training))
    assert (str(net), net.config, net.scales, net.min_size) == attributes
    assert all(module.training is training for module in net.modules())
    assert net.rewrites is None
    assert [parameter.requires_grad for parameter in net.parameters()] == gradients
    assert net.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert list(shared_tensors(rewritten, net)) == []
    with torch.no_grad():
        assert torch.equal(net.eval()(lr), before)


def test_changing_the_given_network_later_does_not_change_the_optimised_one(net: Network) -> None:
    rewritten = optimize(net)
    lr = image(rewritten, 9, 14)
    before = rewritten(lr)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.zero_()
    assert torch.equal(rewritten(lr), before)


def test_the_result_is_for_inference_and_describes_itself_as_the_given_one(net: Network, optimised: Network) -> None:
    assert not any(module.training for module in optimised.modules())
    assert not any(parameter.requires_grad for parameter in optimised.parameters())
    kept = ("config", "scale", "color", "image_channels", "size_multiple")
    assert [getattr(optimised, name) for name in kept] == [getattr(net, name) for name in kept]
    assert type(optimised) is type(net)
    assert optimised.scales == (net.scale,)
    assert {tensor.dtype for tensor in optimised.parameters()} == {torch.float64}


def test_its_gradients_with_respect_to_the_image_are_those_of_the_given_one(net: Network, optimised: Network) -> None:
    def gradient(of: Network) -> torch.Tensor:
        lr = image(optimised, 8, 5, batch=1).requires_grad_()
        output = of(lr)
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view(output.shape)
        return torch.autograd.grad((weights * output).sum(), lr)[0]

    assert relative_error(gradient(optimised), gradient(net)) < 10 * exactness(net)


def test_it_supervises_the_same_images(net: Network, optimised: Network) -> None:
    lr = image(optimised, 9, 5)
    ours, theirs = optimised.supervised(lr), net.supervised(lr)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert our.shape == their.shape
        assert relative_error(our, their) <= exactness(net)


def test_it_is_deterministic_and_so_is_making_it(net: Network, optimised: Network) -> None:
    lr = image(optimised, 9, 5)
    assert torch.equal(optimised(lr), optimised(lr))
    again = optimize(net)
    assert again.rewrites == optimised.rewrites
    state = optimised.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())


def test_making_it_draws_no_random_numbers() -> None:
    net = create_network("srresnet", scale=2, depth=1, width=8)
    before = torch.get_rng_state()
    optimize(net)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_batch_items_are_independent(optimised: Network) -> None:
    lr = image(optimised, 5, 6, batch=3)
    alone = torch.cat([optimised(item) for item in lr.split(1)])
    assert relative_error(optimised(lr), alone) < exactness(optimised)
    assert torch.equal(optimised(lr[[0, 1, 1]])[1:2], optimised(lr[[0, 1, 1]])[2:])


def test_only_border_kernels_raise_min_size_and_smaller_images_are_then_refused(spec: NetworkSpec, scale: int) -> None:
    net, rewritten = pair(spec.name, scale)
    report = rewritten.rewrites
    if not any("kernels for the border" in decision.reason for decision in report.applied):
        assert rewritten.min_size == net.min_size
        return
    step, least = net.size_multiple, max(net.min_size, tail_collapse.SMALLEST)
    assert "tail_collapse" in names(rewritten)
    assert rewritten.min_size == -(-least // step) * step
    if rewritten.min_size > net.min_size:
        small = torch.rand(1, net.image_channels, rewritten.min_size - step, 9 * step, dtype=torch.float64)
        net(small)
        with pytest.raises(ValueError, match=rf"give \(N, {net.image_channels}, H, W\) with H, W >= {least}"):
            rewritten(small)


def test_asking_for_the_smallest_size_keeps_it(spec: NetworkSpec, net: Network) -> None:
    rewritten = optimize(net, smallest=net.min_size)
    assert rewritten.min_size == net.min_size
    assert_equal(rewritten, net, (1, 1), (net.min_size, 7), (6, 9))
    raised = pair(spec.name, net.scale)[1].min_size > net.min_size
    declined = [decision.reason for decision in rewritten.rewrites.declined]
    assert any(f"and {net.min_size} was asked for" in reason for reason in declined) == raised


def test_at_its_widths_the_paper_tail_of_edsr_is_one_convolution() -> None:
    rewritten = optimize(create_network("edsr_baseline", scale=4, depth=1), smallest=4)
    report = str(rewritten.rewrites)
    assert "one 5x5 convolution with kernels for the border and one pixel shuffle x4" in report
    lr = torch.rand(1, 3, 8, 9)
    assert rewritten(lr).shape == (1, 3, 32, 36)
