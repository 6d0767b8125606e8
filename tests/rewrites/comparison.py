"""What the tests of the rewrites share: networks whose weights hide no wrong fold, and the comparison with them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from helpers.small_networks import randomize, small_network
from helpers.support import relative_error
from srblocks import optimize
from srblocks.blocks import conv
from srblocks.frameworks import PostUpsampling
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.rewrites import REWRITES

EXACT = 1e-12
"""Largest difference in float64, relative to the output's standard deviation."""

_AMPLIFIED = {"SAN": 100 * EXACT}
"""The square root of SAN's covariances amplifies rounding: one in the image can change its output by 7e-12."""


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
    return randomize(PostUpsampling(**{**arguments, **slots}))


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
    """Optimize a network, check that the result computes the same, and give it."""
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


@cache
def pair(name: str, scale: int) -> tuple[Network, Network]:
    """A network of the registry, and what the rewrites make of it; not to be changed."""
    net = small_network(network_spec(name), scale)
    return net, optimize(net)


def shared_tensors(one: nn.Module, other: nn.Module) -> Iterator[str]:
    """Names of tensors of one module that lie in the memory of the other."""
    held = {tensor.data_ptr() for tensor in other.state_dict().values()}
    yield from (name for name, tensor in one.state_dict().items() if tensor.data_ptr() in held)
