"""`optimize`: every rewrite that pays, in the order in which they build on one another."""

import copy
from collections.abc import Callable, Collection

import torch

from ..blocks import MultiScale
from ..network import Network, require_network
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
from .checking import Reference
from .context import RewriteContext, is_exactly
from .report import Decision, Report

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

REWRITES: dict[str, Callable[[RewriteContext], None]] = {module.NAME: module.rewrite for module in _MODULES}
"""Name of each rewrite -> what applies it; in this order."""


def optimize(net: Network, *, without: Collection[str] = (), smallest: int | None = None) -> Network:
    """Give a network that computes the same function with fewer operations and less memory.

    The result is for inference: in eval mode, at the one scale of `net`, without gradients of its weights. It
    scripts, traces and exports as `net` does. Every rewrite is exact: in float64, in which the weights are computed,
    the outputs agree to rounding, borders included. Each is checked on `net` itself, on a small image, and taken back
    where a ``forward`` uses the modules in a way that it did not foresee. What was done stands in the result's
    `rewrites`.

    Args:
        net: the network; it is not changed.
        without: names of `REWRITES` to leave out.
        smallest: H and W from which the result must work; rewrites that need more are left out. None lets them raise
            `min_size`, to 4 as a rule.

    Returns:
        The optimized network, of the precision and on the device of `net`.

    Raises:
        ValueError: an unknown rewrite, or `net` is optimized already.
        TypeError: `net` is no `Network`.

    Example:
        >>> from srblocks import create_network
        >>> print(optimize(create_network("fsrcnn", scale=2)).rewrites)
        transposed_convolution: rewrote upsampler.deconv: 5x5 convolution to 4 channels and pixel shuffle x2
    """
    require_network(net, "optimize")
    unknown = sorted(set(without) - set(REWRITES))
    if unknown:
        raise ValueError(f"optimize: no rewrite is named {', '.join(unknown)}; there are {', '.join(REWRITES)}")
    if net.rewrites is not None:
        raise ValueError("optimize: this network is optimized already; give the one that it was made from")
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        made = copy.deepcopy(net).eval()
        precisions = {tensor.dtype for tensor in made.state_dict().values() if tensor.is_floating_point()}
        decisions = [Decision("optimize", "", False, "its weights have no single precision")]
        if len(precisions) == 1:
            made, decisions = _rewritten(made, [name for name in REWRITES if name not in without], smallest)
            made = made.to(precisions.pop())
        if any(weight.ndim == 4 and not weight.is_contiguous() for weight in net.parameters()):
            made = made.to(memory_format=torch.channels_last)
    for module in made.modules():
        if isinstance(module, Network):
            module.scales = (net.scale,)
            module.rewrites = Report(tuple(decisions))
    return made.eval().requires_grad_(False)


def _rewritten(net: Network, names: list[str], smallest: int | None) -> tuple[Network, list[Decision]]:
    """Apply the rewrites of these names in float64, less those after which the network is another function."""
    plain = copy.deepcopy(net).double()
    for path, module in reversed(list(plain.named_modules(remove_duplicate=False))):
        if is_exactly(module, MultiScale):
            plain.set_submodule(path, module.branches.get_submodule(module.active))
    reference = Reference(plain)
    if problem := reference.problem(plain):
        return net, [Decision("optimize", "", False, f"in float64, in which rewrites are made, {problem}")]
    taken_back: list[Decision] = []
    while True:
        bench = RewriteContext(copy.deepcopy(plain), smallest=smallest)
        failed = next((name for name in names if not _applied(bench, name, reference, taken_back)), None)
        if failed is None:
            return bench.net, [*bench.decisions, *taken_back]
        names = [name for name in names if name != failed]


def _applied(bench: RewriteContext, name: str, reference: Reference, taken_back: list[Decision]) -> bool:
    """Apply one rewrite; note in `taken_back` if that changed the function."""
    before = len(bench.decisions)
    REWRITES[name](bench)
    first = next((decision for decision in bench.decisions[before:] if decision.applied), None)
    if first and (problem := reference.problem(bench.net)):
        taken_back.append(Decision(name, first.module, False, f"taken back: with it, {problem}"))
        return False
    return True
