"""Test networks for the rewrites, with randomized weights, and their comparison with optimized networks."""

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
"""Maximum difference in float64, relative to the output's standard deviation."""

_AMPLIFIED = {"SAN": 100 * EXACT}
"""The square root of SAN's covariances amplifies rounding errors: one in the input can change the output by 7e-12."""


def around(
    body: nn.Module | None = None, *, channels: int = 6, out_channels: int | None = None, **slots: Any
) -> Network:
    """Return an x2 network in which only `body` can be rewritten; keyword arguments replace slots."""
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
    """Return random images of this size, rounded up to a valid one, with the dtype of the network."""
    step, generator = net.size_multiple, torch.Generator().manual_seed(height * 100 + width)
    sides = [-(-max(side, net.min_size) // step) * step for side in (height, width)]
    return torch.rand(batch, net.image_channels, *sides, generator=generator, dtype=torch.float64).to(
        next(net.parameters()).dtype
    )


def exactness(net: Network) -> float:
    """Return the maximum difference that counts as rounding."""
    return _AMPLIFIED.get(type(net).__name__, EXACT)


@torch.inference_mode()
def assert_equal(
    rewritten: Network, net: Network, *sizes: tuple[int, int], tolerance: float | None = None, case: object = None
) -> None:
    """Assert that a rewritten network computes the same as `net` and does not change its input.

    `case` is shown if the assertion fails.
    """
    if tolerance is None:
        tolerance = exactness(net)
    for size in sizes or ((1, 1), (5, 4), (7, 9)):
        lr = image(rewritten, *size)
        before = lr.clone()
        error = relative_error(rewritten(lr), net(before.clone()))
        assert error <= tolerance, (case, size)
        assert torch.equal(lr, before), (case, size)


def checked(net: Network, *sizes: tuple[int, int], case: object = None, **options: Any) -> Network:
    """Optimize a network, assert that the result computes the same, and return it."""
    rewritten = optimize(net, **options)
    assert_equal(rewritten, net, *sizes, case=case)
    return rewritten


def names(net: Network) -> set[str]:
    """Return the rewrites that were applied."""
    assert net.rewrites is not None
    return {decision.rewrite for decision in net.rewrites.applied}


def reasons(net: Network, rewrite: str) -> list[str]:
    """Return the reasons why a rewrite kept modules."""
    assert net.rewrites is not None
    return [decision.reason for decision in net.rewrites.declined if decision.rewrite == rewrite]


def all_but(rewrite: str) -> set[str]:
    """Return all rewrites except one, for `without=`."""
    return set(REWRITES) - {rewrite}


@cache
def pair(name: str, scale: int) -> tuple[Network, Network]:
    """Return a registered network and its optimized version; do not modify them."""
    net = small_network(network_spec(name), scale)
    return net, optimize(net)


def shared_tensors(one: nn.Module, other: nn.Module) -> Iterator[str]:
    """Yield the names of tensors of one module that share memory with the other."""
    held = {tensor.data_ptr() for tensor in other.state_dict().values()}
    yield from (name for name, tensor in one.state_dict().items() if tensor.data_ptr() in held)
