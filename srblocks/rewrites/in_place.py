"""Make activations and residual sums in-place when the conv output has no other consumer."""

from itertools import pairwise

from torch import Tensor, nn

from ..blocks import ResidualBlock
from .context import RewriteContext
from .matching import is_exactly

NAME = "in_place"


class InPlaceResidual(nn.Module):
    """``out_act(x + branch(x))``, summed into the output of the branch.

    Args:
        branch: features to features; it must return a new tensor.
        out_act: activation after the sum.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``
    """

    def __init__(self, branch: nn.Module, out_act: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.out_act = out_act

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the features ``x``."""
        residual = self.branch(x)
        residual += x
        return self.out_act(residual)


def rewrite(context: RewriteContext) -> None:
    """Rewrite residual blocks that end in a convolution, and activations after a convolution."""
    for path, block in context.modules():
        if not is_exactly(block, ResidualBlock) or block.res_scale != 1:
            continue
        layers = [block.conv1, block.norm1, block.act, block.conv2, block.norm2, block.attention]
        layers = [layer for layer in layers if not is_exactly(layer, nn.Identity)]
        if is_exactly(layers[-1], nn.Conv2d):
            context.replace_all(block, InPlaceResidual(nn.Sequential(*layers), _in_place(block.out_act)))
            context.applied(NAME, path, "in-place sum")
    for run in context.sequential_slots():
        for conv, act in pairwise(run):
            if is_exactly(conv.module, nn.Conv2d) and (new := _in_place(act.module)) is not act.module:
                act.replace(new)
                context.applied(NAME, act.path, "in-place activation")


def _in_place(act: nn.Module) -> nn.Module:
    """Return the in-place variant of an activation; the activation itself if there is none."""
    if is_exactly(act, nn.ReLU):
        return nn.ReLU(inplace=True)
    if is_exactly(act, nn.LeakyReLU) and act.negative_slope >= 0:
        return nn.LeakyReLU(act.negative_slope, inplace=True)
    return act
