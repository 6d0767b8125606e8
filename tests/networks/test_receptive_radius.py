"""Declared receptive radii against the reach of gradients."""

import torch
from torch import nn

from srblocks import create_network
from srblocks.network import Network
from srblocks.registry import NetworkSpec


def positive(net: Network) -> Network:
    """Give a network positive weights, so that no activation is dead and nothing cancels by sign."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.uniform_(0.5, 1.5).div_(module.weight[0].numel())
                if module.bias is not None:
                    module.bias.fill_(0.01)
    return net.eval()


def reach(net: Network, side: int) -> int:
    """Farthest low-resolution pixel with a gradient of the output block that belongs to the middle pixel."""
    middle = side // 2
    lr = torch.full((1, net.image_channels, side, side), 0.5, dtype=torch.float64, requires_grad=True)
    block = slice(middle * net.scale, (middle + 1) * net.scale)
    net(lr)[:, :, block, block].sum().backward()
    rows, columns = lr.grad[0].abs().sum(0).nonzero(as_tuple=True)
    return int(max((rows - middle).abs().max(), (columns - middle).abs().max()))


def test_gradients_reach_as_far_as_declared_and_no_farther(spec: NetworkSpec, scale: int) -> None:
    radius = spec.geometry[scale].radius
    # The radius does not depend on the width.
    net = positive(create_network(spec.name, scale=scale, width=16 if radius is None else 4).double())
    if radius is None:
        assert reach(net, 65) == 32, "declared global, and sees the whole image"
    else:
        assert reach(net, 2 * radius + 7) == radius
