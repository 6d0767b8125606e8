"""Gradients are finite, and reach every parameter of every network."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.small_networks import images, small_network
from helpers.support import cases, filled
from srblocks.network import Network
from srblocks.registry import NetworkSpec


def gradients(net: Network, outputs: list[Tensor]) -> dict[str, Tensor | None]:
    """What arrives at every parameter."""
    net.zero_grad()
    sum(output.square().mean() for output in outputs).backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def dead(found: dict[str, Tensor | None]) -> list[str]:
    """Names of the parameters that no gradient reaches, or a gradient of zeros."""
    return [name for name, gradient in found.items() if gradient is None or not gradient.any()]


def broken(found: dict[str, Tensor | None]) -> list[str]:
    """Names of the parameters whose gradients are infinite or no numbers."""
    return [name for name, gradient in found.items() if gradient is not None and not gradient.isfinite().all()]


@cases(1)
@given(data=st.data())
def test_gradients_reach_every_parameter_and_are_finite_whatever_the_images(
    spec: NetworkSpec, scale: int, data: st.DataObject, tally: Counter[str]
) -> None:
    net = filled(small_network(spec, scale)).train()
    lr = data.draw(images(net, batches=(2, 2), steps=4, more=3)).requires_grad_()
    found = gradients(net, net.intermediate_outputs(lr))
    assert broken(found) == []
    assert lr.grad is not None
    assert lr.grad.isfinite().all()
    noise = torch.rand_like(lr)
    assert dead(gradients(net, net.intermediate_outputs(noise))) == []
    tally["cases of properties of networks"] += 2
