"""What every network promises, for every row of the registry and every scale."""

import copy
import json

import pytest
import torch

from srblocks import create_network
from srblocks.network import Network
from srblocks.registry import NetworkSpec, network_name
from support import filled, relative_error


@pytest.fixture
def net(spec: NetworkSpec, scale: int) -> Network:
    return filled(create_network(spec.name, scale=scale, **spec.reduced))


def image(net: Network, batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, net.image_channels, height, width, dtype=next(net.parameters()).dtype)


def test_output_is_scale_times_the_input_at_odd_and_smallest_sizes(net: Network, scale: int) -> None:
    least, step = net.min_size, net.size_multiple
    for height, width in ((least, least), (least, 5 * step), (7 * step, 3 * step), (step * 11, step * 6)):
        lr = image(net, 2, max(height, least), max(width, least))
        assert net(lr).shape == (2, net.image_channels, scale * lr.shape[2], scale * lr.shape[3])


def test_input_is_left_alone_and_output_is_deterministic(net: Network) -> None:
    lr = image(net, 1, 9, 14)
    before = lr.clone()
    first, second = net(lr), net(lr)
    assert torch.equal(lr, before)
    assert torch.equal(first, second)


def test_batch_items_are_independent(net: Network) -> None:
    net = filled(net.double())
    lr = image(net, 2, 9, 14)
    alone = torch.cat([net(lr[:1]), net(lr[1:])])
    assert relative_error(net(lr), alone) < 1e-10


def test_gradients_reach_every_parameter(net: Network) -> None:
    net = net.train()
    sum(output.square().mean() for output in net.supervised(image(net, 1, 9, 14))).backward()
    without = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    broken = [name for name, parameter in net.named_parameters() if not parameter.grad.isfinite().all()]
    dead = [name for name, parameter in net.named_parameters() if not parameter.grad.any()]
    assert not without, without
    assert not broken, broken
    assert not dead, dead


def test_config_is_json_and_builds_the_same_network_again(net: Network, spec: NetworkSpec) -> None:
    config = json.loads(json.dumps(net.config))
    assert network_name(net) == spec.name
    again = create_network(spec.name, **config)
    again.load_state_dict(net.state_dict())
    lr = image(net, 1, 9, 14)
    assert torch.equal(again.eval()(lr), net(lr))
    assert again.config == net.config


def test_a_copy_is_the_same_network(net: Network) -> None:
    lr = image(net, 1, 9, 14)
    twin = copy.deepcopy(net)
    assert twin.config == net.config
    assert torch.equal(twin(lr), net(lr))


def test_float32_agrees_with_float64(net: Network) -> None:
    lr = image(net, 1, 9, 14)
    single = net(lr)
    double = filled(net.double())(lr.double())
    assert relative_error(single.double(), double) < 1e-4


def test_the_row_declares_what_the_network_asks_of_its_input(net: Network, spec: NetworkSpec, scale: int) -> None:
    geometry = spec.geometry[scale]
    assert (geometry.min_size, geometry.size_multiple) == (net.min_size, net.size_multiple)
    assert (net.scale, net.image_channels) == (scale, spec.image_channels)
    assert net.config.get("value_range", 1.0) == spec.value_range


def test_tracing_generalises_over_sizes(net: Network) -> None:
    traced = torch.jit.trace(net, image(net, 1, 8, 10))
    lr = image(net, 2, 11, 7)
    assert relative_error(traced(lr), net(lr)) < 1e-5


def test_supervised_images_end_with_the_output(net: Network) -> None:
    lr = image(net, 1, 9, 14)
    images = net.supervised(lr)
    assert torch.equal(images[-1], net(lr))
    assert all(item.shape[2] % lr.shape[2] == 0 for item in images)
