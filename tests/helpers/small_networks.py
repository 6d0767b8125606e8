"""Small networks of the registry with random weights, and random images for them."""

import math
from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks import create_network
from srblocks.blocks import MeanShift
from srblocks.network import Network
from srblocks.registry import NetworkSpec

_NARROW = {"width": 16, "head_width": 16, "upsampler_width": 16, "growth": 8, "reduction": 4}
_NARROWEST = {"width": 4, "head_width": 4, "upsampler_width": 4, "growth": 2}


@torch.no_grad()
def randomize(net: Network) -> Network:
    """Randomize every tensor, including statistics and mean shifts; return the network in float64 and eval mode."""
    torch.manual_seed(0)
    net.double().eval()
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            strides = module.stride[0] ** 2 if module.transposed else 1
            module.weight.normal_(0, math.sqrt(module.out_channels * strides / module.weight.numel()))
            if module.bias is not None:
                module.bias.normal_(0, 0.3)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)):
            if module.weight is not None:
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
            if getattr(module, "running_mean", None) is not None:
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2)
        elif isinstance(module, MeanShift):
            module.weight += 0.1 * torch.randn_like(module.weight)
            module.bias *= torch.empty_like(module.bias).uniform_(0.5, 1.5)
        else:
            for parameter in module.parameters(recurse=False):
                parameter.uniform_(-0.5, 0.5)
    return net


def narrow_arguments(spec: NetworkSpec) -> dict[str, int]:
    """Return the arguments of the network that make it narrow."""
    defaults = spec.arguments()
    return {name: width for name, width in _NARROW.items() if name in defaults and (defaults[name] or 0) > width}


def small_network(spec: NetworkSpec, scale: int | None = None) -> Network:
    """Return a shallow and narrow network of the registry with random weights."""
    chosen = {**spec.reduced, **narrow_arguments(spec)}
    return randomize(create_network(spec.name, scale=scale or spec.default_scale, **chosen))


def narrow_network(spec: NetworkSpec, scale: int) -> Network:
    """Return a shallow and very narrow network with random weights; the width does not change the radius."""
    few = {name: width for name, width in _NARROWEST.items() if name in spec.arguments()}
    return randomize(create_network(spec.name, scale=scale, **few, **spec.reduced))


MEMORY_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda lr: lr.contiguous(memory_format=torch.channels_last),
    "transposed": lambda lr: lr.mT.contiguous().mT,
    "window of a larger image": lambda lr: F.pad(lr, (2, 1, 1, 3), value=math.nan)[:, :, 1:-3, 2:-1],
    "every other pixel": lambda lr: lr.repeat_interleave(2, 3)[..., ::2],
    "channels of a larger image": lambda lr: F.pad(lr, (0, 0, 0, 0, 1, 2), value=math.nan)[:, 1:-2],
}
"""Memory layouts of images with the same values; the values in between must not be read."""


def _integers(low: int, high: int, *, simplest: int) -> st.SearchStrategy[int]:
    """Return integers that shrink to `simplest` if it is in their range, else to the closest one."""
    origin = min(max(simplest, low), high)
    return st.integers(low - origin, high - origin).map(lambda offset: origin + offset)


@st.composite
def images(
    draw: st.DrawFn, net: Network, *, batches: tuple[int, int] = (1, 3), steps: int = 6, more: int = 0
) -> Tensor:
    """Return images of a random legal size, in the precision of the network.

    The simplest case, with which hypothesis starts, has two images of unequal, not minimal sides.

    Args:
        draw: provided by hypothesis.
        net: network that takes the images.
        batches: smallest and largest batch size.
        steps: how many multiples of `size_multiple` height and width may exceed the smallest size.
        more: added to the smallest height and width.
    """
    step = net.size_multiple
    least = -(-(net.min_size + more) // step)
    count = draw(_integers(*batches, simplest=2))
    sides = [draw(_integers(least, least + steps, simplest=least + extra)) for extra in (1, 2)]
    shape = (count, net.image_channels, *(side * step for side in sides))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    noise = torch.rand(shape, generator=generator, dtype=torch.float64)
    content = draw(st.sampled_from(("noise", "smooth noise", "black and white", "flat")))
    if content == "smooth noise":
        noise = F.avg_pool2d(noise, 3, stride=1, padding=1)
    elif content == "black and white":
        noise = noise.round()
    elif content == "flat":
        noise = torch.full(shape, draw(st.sampled_from((0.0, 0.5, 1.0))), dtype=torch.float64)
    return noise.to(next(net.parameters()).dtype)
