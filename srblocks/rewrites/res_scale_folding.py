"""Fold the multiplier of a residual branch into the last convolution of the branch."""

from torch import nn

from ..blocks import ResidualBlock, ResidualDenseBlock
from .context import RewriteContext
from .convolutions import weight_and_bias, with_weights
from .matching import is_exactly

NAME = "res_scale_folding"


def rewrite(context: RewriteContext) -> None:
    """Fold the multiplier of every block whose branch ends in a convolution."""
    for path, block in context.modules():
        if is_exactly(block, ResidualBlock):
            last, following = "conv2", [block.norm2, block.attention]
        elif is_exactly(block, ResidualDenseBlock):
            last, following = "fuse", []
        else:
            continue
        conv = block.get_submodule(last)
        if block.res_scale == 1:
            continue
        if not is_exactly(conv, nn.Conv2d) or not all(is_exactly(module, nn.Identity) for module in following):
            context.declined(NAME, path, "its branch does not end in a convolution")
            continue
        weight, bias = weight_and_bias(conv)
        bias = None if conv.bias is None else bias * block.res_scale
        setattr(block, last, with_weights(conv, weight * block.res_scale, bias))
        block.res_scale = 1.0
        context.applied(NAME, path, "folded into the last convolution of the branch")
