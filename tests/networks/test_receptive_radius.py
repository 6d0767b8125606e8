"""Declared receptive radii compared with the extent of gradients."""

import pytest
import torch
from torch import nn

from srblocks import create_network
from srblocks.network import Network
from srblocks.registry import NetworkSpec

STRIP = 9
"""Shorter side of the images on which radii are measured."""


def positive(net: Network, power: float = 0.75) -> Network:
    """Return the network with positive weights, so that no activation is dead and nothing cancels.

    With a power below 1, features grow in the middle and decay at the border of the receptive field, both within
    float64's range; with 1 they keep their magnitude, so that no gate saturates.
    """
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.uniform_(0.5, 1.5).div_(module.weight[0].numel() ** power)
                if module.bias is not None:
                    module.bias.fill_(0.01)
    return net.eval()


def reach(net: Network, height: int, width: int) -> tuple[int, int]:
    """Return the largest vertical and horizontal distance that gradients of the central output pixels reach."""
    step = net.size_multiple
    height, width = (-(-side // step) * step for side in (height, width))
    dtype = next(net.parameters()).dtype
    lr = torch.full((1, net.image_channels, height, width), 0.5, dtype=dtype, requires_grad=True)
    sr = net(lr)
    reached = []
    for offset in range(step):  # in the grid of networks that need multiples
        row, column = (side // 2 // step * step + offset for side in (height, width))
        rows, columns = (slice(at * net.scale, (at + 1) * net.scale) for at in (row, column))
        (gradient,) = torch.autograd.grad(sr[:, :, rows, columns].sum(), lr, retain_graph=True)
        found = gradient[0].abs().sum(0).nonzero()
        reached.append(((found[:, 0] - row).abs().max(), (found[:, 1] - column).abs().max()))
    vertical, horizontal = zip(*reached, strict=True)
    return int(max(vertical)), int(max(horizontal))


def measure_radius(net: Network, side: int) -> int:
    """Return the receptive radius, measured on strips of length `side`, or longer ones if it does not fit."""
    while (radius := max(reach(net, side, STRIP)[0], reach(net, STRIP, side)[1])) >= side // 2 - 2:
        side *= 2
    return radius


def narrow(spec: NetworkSpec, scale: int, width: int, **more: object) -> Network:
    """Return the network with few channels, which does not change its radius."""
    few = {"width": width, "growth": 2, "upsampler_width": 4, "head_width": 4, "value_range": 1.0}
    chosen = {name: few[name] for name in few if name in spec.arguments()} | more
    return create_network(spec.name, scale=scale, **chosen)


@pytest.mark.one_of_each_class
def test_declared_radius_matches_gradients(spec: NetworkSpec, scale: int) -> None:
    radius = spec.size_requirements[scale].radius
    if radius is None:
        net = positive(narrow(spec, scale, 16, **spec.reduced).double(), power=1)
        # Strided windows without padding leave out a row and a column.
        assert min(reach(net, 24, 24)) >= 11, "declared global (None), but some pixels have no influence"
    else:
        power = 1 if spec.name == "fmen" else 0.75  # large features would saturate its gates
        assert measure_radius(positive(narrow(spec, scale, 4).double(), power), 2 * radius + 7) == radius
