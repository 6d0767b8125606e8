"""Batch normalization directly behind a convolution becomes part of its weights.

Exact in eval mode: both are affine per channel, and padding happens ahead of both. Where a normalization stands behind
a sum or a concatenation, it stays.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..blocks import RecursiveBlock, ResidualBlock
from .context import ModuleRef, RewriteContext, is_exactly
from .convolutions import weight_and_bias, with_weights
from .unrolling import UnrolledRecursion, layers_of_runs

NAME = "norm_folding"


def rewrite(bench: RewriteContext) -> None:
    """Fold every normalization that can be folded."""
    for path, module in bench.modules():
        if is_exactly(module, ResidualBlock):
            for conv, norm in (("conv1", "norm1"), ("conv2", "norm2")):
                _fold(bench, ModuleRef(module, conv), ModuleRef(module, norm), f"{path}.{norm}")
        elif is_exactly(module, RecursiveBlock) and _is_foldable(module) and (runs := layers_of_runs(module)):
            bench.substitute(module, UnrolledRecursion(runs, skip=module.skip))
            bench.applied(NAME, path, "one chain of layers per run, so that each run has convolutions of its own")
    for chain in bench.sequential_slots():
        for first, second in pairwise(chain):
            _fold(bench, first, second, second.path)


def _is_foldable(block: RecursiveBlock) -> bool:
    """Tell whether a run of the block has a normalization behind one of its own convolutions."""
    norms = [norm for run in block.norms for norm in list(run.children())[1 if block.pre_activation else 0 :]]
    return any(is_exactly(norm, nn.BatchNorm2d) and norm.running_mean is not None for norm in norms)


def _fold(bench: RewriteContext, before: ModuleRef, behind: ModuleRef, path: str) -> None:
    conv, norm = before.module, behind.module
    if not isinstance(norm, nn.BatchNorm2d | nn.InstanceNorm2d):
        return
    if not is_exactly(conv, nn.Conv2d):
        bench.declined(NAME, path, f"it stands behind {type(conv).__name__}, not directly behind a convolution")
    elif not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        bench.declined(NAME, path, f"{type(norm).__name__} computes its statistics from the image")
    elif not is_exactly(norm, nn.BatchNorm2d):
        bench.declined(NAME, path, "it has a forward of its own, or hooks")
    else:
        before.put(with_weights(conv, *_fused(conv, norm)))
        behind.put(nn.Identity())
        bench.applied(NAME, path, "part of the convolution ahead of it")


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Give weight and bias of the convolution with the normalization behind it."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    gain, shift = (norm.weight, norm.bias) if norm.affine else (None, None)
    return fuse_conv_bn_weights(*weight_and_bias(conv), mean, variance, norm.eps, gain, shift)
