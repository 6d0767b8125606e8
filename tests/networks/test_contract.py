"""The contract of networks: tracing, intermediate outputs, and weights that serve several scales.

More of it is in tests/properties.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from helpers.small_networks import narrow_arguments, small_network
from helpers.support import filled, relative_error
from srblocks import create_network, on_rgb, optimize, save_checkpoint, to_precision
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks.tiling import tiled


@pytest.fixture
def net(spec: NetworkSpec, scale: int) -> Network:
    return filled(small_network(spec, scale)).float()


def image(net: Network, batch: int, height: int, width: int) -> torch.Tensor:
    """Return random images of that size, rounded up to a legal size."""
    sides = [max(-(-side // net.size_multiple) * net.size_multiple, net.min_size) for side in (height, width)]
    return torch.rand(batch, net.image_channels, *sides, dtype=next(net.parameters()).dtype)


def dead_parameters(net: Network, outputs: list[torch.Tensor]) -> list[str]:
    """Return the names of parameters without gradient, or whose gradient is zero or not finite."""
    sum(output.square().mean() for output in outputs).backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    return [
        name
        for name, gradient in gradients.items()
        if gradient is None or not gradient.isfinite().all() or not gradient.any()
    ]


@pytest.mark.one_of_each_class
def test_tracing_generalizes_over_sizes(net: Network) -> None:
    traced = torch.jit.trace(net, image(net, 1, 12, 18))
    lr = image(net, 2, 11, 9)
    assert relative_error(traced(lr), net(lr)) < 1e-5


def test_intermediate_outputs_end_with_the_output() -> None:
    overriding = [
        (spec, scale)
        for spec in network_specs()
        for scale in spec.scales
        if spec.constructor[0].intermediate_outputs is not Network.intermediate_outputs
    ]
    assert len(overriding) > 10
    for spec, scale in overriding:
        net = filled(small_network(spec, scale)).float()
        lr = image(net, 1, 9, 14)
        images = net.intermediate_outputs(lr)
        assert torch.equal(images[-1], net(lr))
        assert all(item.shape[2] % lr.shape[2] == 0 for item in images)


def multi_scale(spec: NetworkSpec) -> Network:
    """Return the network with the branches of every scale that one set of weights serves."""
    scale = None if "scales" in spec.arguments() else max(spec.scales)
    return filled(create_network(spec.name, scale=scale, **spec.reduced, **narrow_arguments(spec)).double())


def test_every_parameter_is_used_at_some_scale(spec: NetworkSpec) -> None:
    net = multi_scale(spec).train()
    assert set(net.scales) <= set(spec.scales)
    outputs = [
        output for scale in net.scales for output in net.at_scale(scale).intermediate_outputs(image(net, 2, 9, 14))
    ]
    assert dead_parameters(net, outputs) == []


@pytest.mark.one_of_each_class
def test_network_of_one_scale_shares_parameters_and_equals_the_whole(spec: NetworkSpec) -> None:
    net = multi_scale(spec)
    if len(net.scales) == 1:
        with pytest.raises(ValueError, match=f"scale must be one of {net.scale}, got 7"):
            net.at_scale(7)
    held = {id(parameter) for parameter in net.parameters()}
    for scale in net.scales:
        alone = net.at_scale(scale)
        lr = image(net, 1, 9, 14)
        assert (alone.scale, alone.training) == (scale, net.training)
        assert {id(parameter) for parameter in alone.parameters()} <= held
        assert alone(lr).shape[2] == scale * lr.shape[2]
        fresh = create_network(spec.name, **json.loads(json.dumps(alone.config))).double().eval()
        fresh.load_state_dict(alone.state_dict())
        assert torch.equal(fresh(lr), alone(lr))
    assert torch.equal(net.at_scale(net.scale)(lr), net(lr))
    assert relative_error(torch.jit.script(net)(lr), net(lr)) < 1e-12


@pytest.mark.parametrize(
    "use",
    [
        on_rgb,
        optimize,
        lambda net: save_checkpoint(net, "net.safetensors"),
        lambda net: tiled(net, torch.rand(1, 1, 8, 8)),
        lambda net: to_precision(net, "bf16"),
    ],
    ids=["on_rgb", "optimize", "save_checkpoint", "tiled", "to_precision"],
)
def test_other_modules_are_refused(use: Callable[[Any], object], request: pytest.FixtureRequest) -> None:
    with pytest.raises(
        TypeError, match=rf"^{request.node.callspec.id}: expected a srblocks\.Network, got Conv2d; derive"
    ):
        use(nn.Conv2d(1, 1, 1))
