"""`optimize`: every rewrite that pays, in the order in which they build on one another."""

import copy
from collections.abc import Callable, Collection

import torch

from ..network import Network
from . import (
    accumulation,
    dense_buffer,
    gated_residual,
    in_place,
    nearest_convolution,
    norm_folding,
    res_scale_folding,
    tail_collapse,
    transposed_convolution,
    value_range_folding,
)
from .report import Report
from .sites import Workbench

_MODULES = (
    norm_folding,
    res_scale_folding,
    transposed_convolution,
    nearest_convolution,
    value_range_folding,
    tail_collapse,
    accumulation,
    dense_buffer,
    gated_residual,
    in_place,
)

REWRITES: dict[str, Callable[[Workbench], None]] = {module.NAME: module.rewrite for module in _MODULES}
"""Name of each rewrite -> what applies it; in this order."""


def optimize(net: Network, *, without: Collection[str] = (), smallest: int | None = None) -> Network:
    """Give a network that computes the same function with fewer operations and less memory.

    The result is for inference: in eval mode, at the one scale of `net`, without gradients of its weights. It
    scripts, traces and exports as `net` does. Every rewrite is exact: in float64 the outputs agree to rounding, borders
    included. What was done stands in the result's `rewrites`.

    Args:
        net: the network; it is not changed.
        without: names of `REWRITES` to leave out.
        smallest: H and W from which the result must work; rewrites that need more are left out. None lets them raise
            `min_size`, to 4 as a rule.

    Returns:
        The optimised network, of the precision and on the device of `net`.

    Raises:
        ValueError: an unknown rewrite, or `net` is optimised already.

    Example:
        >>> from srblocks import create_network
        >>> print(optimize(create_network("fsrcnn", scale=2)).rewrites)
        transposed_convolution: rewrote upsampler: 5x5 convolution to 4 channels and pixel shuffle
    """
    unknown = sorted(set(without) - set(REWRITES))
    if unknown:
        raise ValueError(f"optimize: no rewrite is named {', '.join(unknown)}; there are {', '.join(REWRITES)}")
    if net.rewrites is not None:
        raise ValueError("optimize: this network is optimised already; give the one that it was made from")
    net = copy.deepcopy(net.at_scale(net.scale) if len(net.scales) > 1 else net).eval().requires_grad_(False)
    bench = Workbench(net, smallest=smallest)
    with torch.no_grad():
        for name, rewrite in REWRITES.items():
            if name not in without:
                rewrite(bench)
    bench.net.scales = (net.scale,)
    bench.net.rewrites = Report(tuple(bench.decisions))
    return bench.net.eval().requires_grad_(False)
