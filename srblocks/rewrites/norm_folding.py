"""Fold batch normalization into the convolution directly before it.

Exact in eval mode: both are affine per channel, and padding is applied before both. Normalizations after a sum or a
concatenation are kept.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ..blocks import RecursiveBlock, ResidualBlock
from .context import ModuleRef, RewriteContext
from .convolutions import weight_and_bias, with_weights
from .matching import is_exactly
from .unrolling import UnrolledRecursion, layers_per_recursion

NAME = "norm_folding"


def rewrite(context: RewriteContext) -> None:
    """Fold every normalization that can be folded."""
    for path, module in context.modules():
        if is_exactly(module, ResidualBlock):
            for conv, norm in (("conv1", "norm1"), ("conv2", "norm2")):
                _fold(context, ModuleRef(module, conv), ModuleRef(module, norm), f"{path}.{norm}")
        elif is_exactly(module, RecursiveBlock) and _is_foldable(module) and (runs := layers_per_recursion(module)):
            context.replace_all(module, UnrolledRecursion(runs, skip=module.skip))
            context.applied(NAME, path, "recursion unrolled, so that each step has its own convolutions")
    for run in context.sequential_slots():
        for first, second in pairwise(run):
            _fold(context, first, second, second.path)


def _is_foldable(block: RecursiveBlock) -> bool:
    """Return whether a step of the recursion has a normalization after one of its own convolutions."""
    norms = [norm for run in block.norms for norm in list(run.children())[1 if block.pre_activation else 0 :]]
    return any(is_exactly(norm, nn.BatchNorm2d) and norm.running_mean is not None for norm in norms)


def _fold(context: RewriteContext, conv_ref: ModuleRef, norm_ref: ModuleRef, path: str) -> None:
    conv, norm = conv_ref.module, norm_ref.module
    if not isinstance(norm, nn.BatchNorm2d | nn.InstanceNorm2d):
        return
    if not is_exactly(conv, nn.Conv2d):
        context.declined(NAME, path, f"it follows {type(conv).__name__}, not a convolution")
    elif not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
        context.declined(NAME, path, f"{type(norm).__name__} computes its statistics from the image")
    elif not is_exactly(norm, nn.BatchNorm2d):
        context.declined(NAME, path, "it overrides forward or has hooks")
    else:
        conv_ref.replace(with_weights(conv, *_fused(conv, norm)))
        norm_ref.replace(nn.Identity())
        context.applied(NAME, path, "folded into the convolution before it")


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the convolution followed by the normalization."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    gain, shift = (norm.weight, norm.bias) if norm.affine else (None, None)
    return fuse_conv_bn_weights(*weight_and_bias(conv), mean, variance, norm.eps, gain, shift)
