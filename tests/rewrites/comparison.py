"""What the tests of the rewrites share: networks whose weights hide no wrong fold, and the comparison with them."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from srblocks import create_network, optimize
from srblocks.blocks import MeanShift, conv
from srblocks.frameworks import PostUpsampling
from srblocks.network import Network
from srblocks.registry import NetworkSpec, network_spec
from srblocks.rewrites import REWRITES
from support import relative_error

EXACT = 1e-12
"""Largest difference in float64, relative to the output's standard deviation."""

_AMPLIFIED = {"SAN": 100 * EXACT}
"""The square root of SAN's covariances amplifies rounding: one in the image can change its output by 7e-12."""

_NARROW = {"width": 16, "head_width": 16, "upsampler_width": 16, "growth": 8}


@torch.no_grad()
def unlike_fresh(net: Network) -> Network:
    """Give every tensor values of its own, statistics, slopes and mean shifts included; float64, in eval mode."""
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


def around(
    body: nn.Module | None = None, *, channels: int = 6, out_channels: int | None = None, **slots: Any
) -> Network:
    """A small network x2 around a body, in which nothing else can be rewritten; other slots replace its own."""
    out_channels = channels if out_channels is None else out_channels
    arguments = {
        "scale": 2,
        "image_channels": 3,
        "head": nn.Sequential(conv(3, channels), nn.Softplus()),
        "body": body or nn.Identity(),
        "upsampler": nn.Sequential(conv(out_channels, 4 * channels), nn.Softplus(), nn.PixelShuffle(2)),
        "tail": nn.Sequential(nn.Softplus(), conv(channels, 3)),
    }
    return unlike_fresh(PostUpsampling(**{**arguments, **slots}))


def image(net: Network, height: int, width: int, *, batch: int = 2) -> Tensor:
    """Random images of that size, rounded up to one that the network takes; in its precision."""
    step, generator = net.size_multiple, torch.Generator().manual_seed(height * 100 + width)
    sides = [-(-max(side, net.min_size) // step) * step for side in (height, width)]
    return torch.rand(batch, net.image_channels, *sides, generator=generator, dtype=torch.float64).to(
        next(net.parameters()).dtype
    )


def exactness(net: Network) -> float:
    """The largest difference that counts as rounding."""
    return _AMPLIFIED.get(type(net).__name__, EXACT)


@torch.inference_mode()
def assert_equal(rewritten: Network, net: Network, *sizes: tuple[int, int], tolerance: float | None = None) -> None:
    """Check that a rewritten network computes what `net` does and leaves its input alone."""
    if tolerance is None:
        tolerance = exactness(net)
    for size in sizes or ((1, 1), (5, 4), (7, 9)):
        lr = image(rewritten, *size)
        before = lr.clone()
        error = relative_error(rewritten(lr), net(before.clone()))
        assert error <= tolerance, size
        assert torch.equal(lr, before)


def checked(net: Network, *sizes: tuple[int, int], **options: Any) -> Network:
    """Optimise a network, check that the result computes the same, and give it."""
    rewritten = optimize(net, **options)
    assert_equal(rewritten, net, *sizes)
    return rewritten


def names(net: Network) -> set[str]:
    """The rewrites that were applied."""
    assert net.rewrites is not None
    return {decision.rewrite for decision in net.rewrites.applied}


def reasons(net: Network, rewrite: str) -> list[str]:
    """Why a rewrite left modules alone."""
    assert net.rewrites is not None
    return [decision.reason for decision in net.rewrites.declined if decision.rewrite == rewrite]


def all_but(rewrite: str) -> set[str]:
    """What to leave out so that one rewrite acts alone."""
    return set(REWRITES) - {rewrite}


def thin(spec: NetworkSpec, scale: int | None = None) -> Network:
    """A network of the registry, short and with few channels."""
    defaults = spec.arguments()
    narrow = {name: width for name, width in _NARROW.items() if name in defaults and (defaults[name] or 0) > width}
    return unlike_fresh(create_network(spec.name, scale=scale or min(spec.scales), **{**spec.reduced, **narrow}))


@cache
def pair(name: str, scale: int) -> tuple[Network, Network]:
    """A network of the registry, and what the rewrites make of it; not to be changed."""
    net = thin(network_spec(name), scale)
    return net, optimize(net)


def shared_tensors(one: nn.Module, other: nn.Module) -> Iterator[str]:
    """Names of tensors of one module that lie in the memory of the other."""
    held = {tensor.data_ptr() for tensor in other.state_dict().values()}
    yield from (name for name, tensor in one.state_dict().items() if tensor.data_ptr() in held)
