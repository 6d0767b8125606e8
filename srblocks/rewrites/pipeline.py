"""`optimize`: all rewrites, in the order in which they build on one another."""

import copy
from collections.abc import Callable, Collection

import torch

from ..blocks import MultiScale
from ..errors import ArgumentError
from ..network import Network, require_network
from . import (
    accumulation,
    dense_buffer,
    gated_residual,
    in_place,
    nearest_convolution,
    norm_folding,
    reparameterization,
    res_scale_folding,
    tail_collapse,
    transposed_convolution,
    value_range_folding,
)
from .checking import EquivalenceCheck
from .context import RewriteContext
from .matching import is_exactly
from .report import Decision, Report

_MODULES = (
    reparameterization,
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

REWRITES: dict[str, Callable[[RewriteContext], None]] = {module.NAME: module.rewrite for module in _MODULES}
"""Name of each rewrite -> the function that applies it, in order of application."""


def optimize(
    net: Network, *, without: Collection[str] = (), always: Collection[str] = (), min_size: int | None = None
) -> Network:
    """Return a network that computes the same function with fewer operations and less memory.

    The result is for inference: in eval mode, at the one scale of `net`, with gradients of its weights disabled. It
    can be scripted, traced and exported like `net`. Every rewrite is exact: in float64, in which the new weights are
    computed, the outputs agree to rounding, borders included. Each rewrite is checked on `net` itself, on a small
    image, and rolled back if a custom ``forward`` uses the modules in an unsupported way. The `rewrites` attribute of
    the result is the report.

    Args:
        net: the network; it is not changed.
        without: names of `REWRITES` to skip.
        always: names of `REWRITES` to apply also where they do not pay off, for runtimes that lack what they replace.
            It only has an effect for "transposed_convolution".
        min_size: H and W that the result must accept; rewrites that need larger images are skipped. None lets them
            raise `Network.min_size`, usually to 4.

    Returns:
        The optimized network, with the dtype and on the device of `net`.

    Raises:
        ArgumentError: an unknown rewrite.
        ValueError: `net` is already optimized.
        TypeError: `net` is not a `Network`.

    Examples:
        >>> from srblocks import create_network
        >>> print(optimize(create_network("fsrcnn", scale=2)).rewrites)
        transposed_convolution: rewrote upsampler.deconv: 5x5 convolution to 4 channels and pixel shuffle x2
    """
    require_network(net, "optimize")
    for argument, given in (("without", without), ("always", always)):
        if unknown := sorted(set(given) - set(REWRITES)):
            cause, available = f"unknown rewrite {', '.join(unknown)}", f"available: {', '.join(REWRITES)}"
            raise ArgumentError(cause, available, argument=argument)
    if net.rewrites is not None:
        raise ValueError("the network is already optimized; pass the original network")
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        optimized = copy.deepcopy(net).eval()
        dtypes = {tensor.dtype for tensor in optimized.state_dict().values() if tensor.is_floating_point()}
        decisions = [Decision("optimize", "", False, "its weights have more than one dtype, or none")]
        if len(dtypes) == 1:
            names = [name for name in REWRITES if name not in without]
            optimized, decisions = _rewrite(optimized, names, frozenset(always), min_size)
            optimized = optimized.to(dtypes.pop())
        if any(weight.ndim == 4 and not weight.is_contiguous() for weight in net.parameters()):
            optimized = optimized.to(memory_format=torch.channels_last)
    for module in optimized.modules():
        if isinstance(module, Network):
            module.scales = (net.scale,)
            module.rewrites = Report(tuple(decisions))
    return optimized.eval().requires_grad_(False)


def _rewrite(
    net: Network, names: list[str], always: frozenset[str], min_size: int | None
) -> tuple[Network, list[Decision]]:
    """Apply the named rewrites in float64, except those that would change the function."""
    original = copy.deepcopy(net).double()
    for path, module in reversed(list(original.named_modules(remove_duplicate=False))):
        if is_exactly(module, MultiScale):
            original.set_submodule(path, module.branches.get_submodule(module.active))
    check = EquivalenceCheck(original)
    if difference := check.difference(original):
        return net, [Decision("optimize", "", False, f"in float64, which rewrites require, {difference}")]
    rolled_back: list[Decision] = []
    while True:
        context = RewriteContext(copy.deepcopy(original), always=always, min_size=min_size)
        failed = next((name for name in names if not _apply(context, name, check, rolled_back)), None)
        if failed is None:
            return context.net, [*context.decisions, *rolled_back]
        names = [name for name in names if name != failed]


def _apply(context: RewriteContext, name: str, check: EquivalenceCheck, rolled_back: list[Decision]) -> bool:
    """Apply one rewrite; return False, with a note in `rolled_back`, if it changed the function."""
    start = len(context.decisions)
    REWRITES[name](context)
    first = next((decision for decision in context.decisions[start:] if decision.applied), None)
    if first and (difference := check.difference(context.net)):
        rolled_back.append(Decision(name, first.module, False, f"rolled back: after it, {difference}"))
        return False
    return True
