"""The multiplier of a residual branch becomes part of the last convolution of the branch."""

from torch import nn

from ..blocks import ResidualBlock, ResidualDenseBlock
from .context import RewriteContext, is_exactly
from .convolutions import weight_and_bias, with_weights

NAME = "res_scale_folding"


def rewrite(bench: RewriteContext) -> None:
    """Fold the multiplier of every block that ends its branch in a convolution."""
    for path, block in bench.modules():
        if is_exactly(block, ResidualBlock):
            last, behind = "conv2", [block.norm2, block.attention]
        elif is_exactly(block, ResidualDenseBlock):
            last, behind = "fuse", []
        else:
            continue
        conv = block.get_submodule(last)
        if block.res_scale == 1:
            continue
        if not is_exactly(conv, nn.Conv2d) or not all(is_exactly(module, nn.Identity) for module in behind):
            bench.declined(NAME, path, "its branch does not end in a convolution")
            continue
        weight, bias = weight_and_bias(conv)
        bias = None if conv.bias is None else bias * block.res_scale
        setattr(block, last, with_weights(conv, weight * block.res_scale, bias))
        block.res_scale = 1.0
        bench.applied(NAME, path, "part of the last convolution of the branch")
