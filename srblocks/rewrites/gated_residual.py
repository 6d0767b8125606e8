"""Fuse gate, residual scale and sum of a channel-attention residual block into one pass over the features."""

import torch
from torch import Tensor, nn

from ..blocks import ChannelAttention, ResidualBlock
from .context import RewriteContext
from .matching import is_exactly

NAME = "gated_residual"


class GatedResidual(nn.Module):
    """``out_act(x + res_scale * gate(r) * r)`` with ``r = branch(x)``.

    Args:
        branch: features to features.
        attention: computes the gate from the branch output.
        out_act: activation after the sum.
        res_scale: multiplier of the residual branch.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``
    """

    def __init__(self, branch: nn.Module, attention: ChannelAttention, out_act: nn.Module, *, res_scale: float) -> None:
        super().__init__()
        self.branch = branch
        self.attention = attention
        self.out_act = out_act
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        """Add the gated branch to the features ``x``."""
        residual = self.branch(x)
        return self.out_act(torch.addcmul(x, residual, self.attention.gate(residual), value=self.res_scale))


def rewrite(context: RewriteContext) -> None:
    """Rewrite every residual block with channel attention."""
    for path, block in context.modules():
        if is_exactly(block, ResidualBlock) and is_exactly(attention := block.attention, ChannelAttention):
            layers = [block.conv1, block.norm1, block.act, block.conv2, block.norm2]
            branch = nn.Sequential(*(layer for layer in layers if not is_exactly(layer, nn.Identity)))
            new = GatedResidual(branch, attention, block.out_act, res_scale=block.res_scale)
            context.replace_all(block, new)
            context.applied(NAME, path, "gate, residual scale and sum in one operation")
