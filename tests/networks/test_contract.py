"""The contract of networks: tracing, intermediate outputs, and weights that serve several scales.

More of it is in tests/properties.
"""

import json

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


def image(net: Network, batch: int, height: int, width: int) -> torch.Tensor:
    """Return random images of that size, rounded up to a legal size."""
    sides = [max(-(-side // net.size_multiple) * net.size_multiple, net.min_size) for side in (height, width)]
    return torch.rand(batch, net.image_channels, *sides, dtype=next(net.parameters()).dtype)


def multi_scale(spec: NetworkSpec) -> Network:
    """Return the network with the branches of every scale that one set of weights serves."""
    scale = None if "scales" in spec.arguments() else max(spec.scales)
    return filled(create_network(spec.name, scale=scale, **spec.reduced, **narrow_arguments(spec)).double())


@pytest.mark.one_of_each_class
def test_tracing_generalizes_over_sizes(spec: NetworkSpec) -> None:
    net = filled(small_network(spec)).float()
    traced = torch.jit.trace(net, image(net, 1, 12, 18), check_trace=False)
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
        assert torch.equal(images[-1], net(lr)), (spec.name, scale)
        assert all(item.shape[2] % lr.shape[2] == 0 for item in images), (spec.name, scale)


def test_multi_scale_networks_use_every_parameter() -> None:
    """Networks of one scale: tests/properties/test_gradients.py."""
    networks = {spec.name: multi_scale(spec).train() for spec in network_specs() if len(spec.scales) > 1}
    networks = {name: net for name, net in networks.items() if len(net.scales) > 1}
    assert len(networks) > 3
    for name, net in networks.items():
        outputs = [
            output for scale in net.scales for output in net.at_scale(scale).intermediate_outputs(image(net, 2, 9, 14))
        ]
        sum(output.square().mean() for output in outputs).backward()
        gradients = {key: parameter.grad for key, parameter in net.named_parameters()}
        dead = [key for key, grad in gradients.items() if grad is None or not grad.isfinite().all() or not grad.any()]
        assert dead == [], name


@pytest.mark.one_of_each_class
def test_at_scale_shares_parameters_and_matches_the_network(spec: NetworkSpec) -> None:
    net = multi_scale(spec)
    assert set(net.scales) <= set(spec.scales)
    if len(net.scales) == 1:
        with pytest.raises(ValueError, match=f"scale must be one of {net.scale}, got 7"):
            net.at_scale(7)
    shared = {id(parameter) for parameter in net.parameters()}
    for scale in net.scales:
        alone = net.at_scale(scale)
        lr = image(net, 1, 9, 14)
        assert (alone.scale, alone.training) == (scale, net.training)
        assert {id(parameter) for parameter in alone.parameters()} <= shared
        assert alone(lr).shape[2] == scale * lr.shape[2]
        fresh = create_network(spec.name, **json.loads(json.dumps(alone.config))).double().eval()
        fresh.load_state_dict(alone.state_dict())
        assert torch.equal(fresh(lr), alone(lr))
    assert torch.equal(net.at_scale(net.scale)(lr), net(lr))
    assert relative_error(torch.jit.script(net)(lr), net(lr)) < 1e-12


def test_functions_of_networks_reject_other_modules() -> None:
    calls = {
        "on_rgb": on_rgb,
        "optimize": optimize,
        "save_checkpoint": lambda net: save_checkpoint(net, "net.safetensors"),
        "tiled": lambda net: tiled(net, torch.rand(1, 1, 8, 8)),
        "to_precision": lambda net: to_precision(net, "bf16"),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=rf"^{name}: expected a srblocks\.Network, got Conv2d; derive"):
            call(nn.Conv2d(1, 1, 1))
