"""Declared receptive radii against the reach of gradients.

Measure them for new rows: PYTHONPATH=tests python tests/networks/test_receptive_radius.py
"""

import pytest
import torch
from torch import nn

from srblocks import create_network
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec


def positive(net: Network, power: float = 0.75) -> Network:
    """Give a network positive weights, so that no activation is dead and nothing cancels by sign.

    With a power below 1 features grow in the middle and fade at the edge of what an output sees, but neither out of
    float64's range; with 1 they keep their size, so that no gate saturates.
    """
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.uniform_(0.5, 1.5).div_(module.weight[0].numel() ** power)
                if module.bias is not None:
                    module.bias.fill_(0.01)
    return net.eval()


def reach(net: Network, side: int) -> int:
    """Farthest low-resolution pixel with a gradient of the output block that belongs to the middle pixel."""
    middle = side // 2
    dtype = next(net.parameters()).dtype
    lr = torch.full((1, net.image_channels, side, side), 0.5, dtype=dtype, requires_grad=True)
    block = slice(middle * net.scale, (middle + 1) * net.scale)
    net(lr)[:, :, block, block].sum().backward()
    rows, columns = lr.grad[0].abs().sum(0).nonzero(as_tuple=True)
    return int(max((rows - middle).abs().max(), (columns - middle).abs().max()))


def narrow(spec: NetworkSpec, scale: int, width: int) -> Network:
    """The network at full depth and few channels, on which its radius does not depend."""
    few = {"width": width, "growth": 2, "upsampler_width": 4, "head_width": 4}
    return create_network(spec.name, scale=scale, **{name: few[name] for name in few if name in spec.arguments()})


@pytest.mark.one_of_each_class
def test_gradients_reach_as_far_as_declared_and_no_farther(spec: NetworkSpec, scale: int) -> None:
    radius = spec.size_requirements[scale].radius
    if radius is None:
        net = positive(create_network(spec.name, scale=scale, width=16, **spec.reduced).double(), power=1)
        side = 24
        assert reach(net, side) == side // 2, "declared global, and sees the whole image"
    else:
        net = positive(narrow(spec, scale, 4).double())
        assert reach(net, 2 * radius + 7) == radius


if __name__ == "__main__":
    for row in network_specs():
        for each, sizes in row.size_requirements.items():
            if sizes.radius is not None:
                network, size = positive(narrow(row, each, 4).double()), 32
                while (found := reach(network, size)) >= size // 2 - 2:
                    size *= 2
                print(f"{row.name} x{each}: {found}", flush=True)
