"""Gradients of every network are finite and reach every parameter."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.small_networks import images, small_network
from helpers.support import cases, filled
from srblocks.network import Network
from srblocks.registry import NetworkSpec


def gradients(net: Network, lr: Tensor) -> dict[str, Tensor | None]:
    """Return the gradients of the parameters."""
    net.zero_grad()
    sum(output.square().mean() for output in net.intermediate_outputs(lr)).backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}


@cases(1)
@given(data=st.data())
def test_gradients_are_finite_and_reach_every_parameter(
    spec: NetworkSpec, data: st.DataObject, tally: Counter[str]
) -> None:
    for scale in spec.scales:
        net = filled(small_network(spec, scale)).train()
        lr = data.draw(images(net, batches=(2, 2), steps=3, more=1)).requires_grad_()
        found = {**gradients(net, lr), "image": lr.grad}
        assert lr.grad is not None, scale
        assert [name for name, grad in found.items() if grad is not None and not grad.isfinite().all()] == [], scale
        found = gradients(net, torch.rand_like(lr))
        assert [name for name, grad in found.items() if grad is None or not grad.any()] == [], scale
        tally["cases of properties of networks"] += 2
