"""Activations and sums overwrite what a convolution just made and nobody else reads."""

from itertools import pairwise

from torch import Tensor, nn

from ..blocks import ResidualBlock
from .context import RewriteContext, is_exactly

NAME = "in_place"


class InPlaceResidual(nn.Module):
    """``out_act(x + branch(x))``, summed into what the branch gave.

    Args:
        branch: features to features, a new tensor.
        out_act: activation behind the sum.

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


def rewrite(bench: RewriteContext) -> None:
    """Rewrite residual blocks that end in a convolution, and activations behind a convolution."""
    for path, block in bench.modules():
        if not is_exactly(block, ResidualBlock) or block.res_scale != 1:
            continue
        layers = [block.conv1, block.norm1, block.act, block.conv2, block.norm2, block.attention]
        layers = [layer for layer in layers if not is_exactly(layer, nn.Identity)]
        if is_exactly(layers[-1], nn.Conv2d):
            bench.substitute(block, InPlaceResidual(nn.Sequential(*layers), _overwriting(block.out_act)))
            bench.applied(NAME, path, "the sum")
    for chain in bench.sequential_slots():
        for ahead, act in pairwise(chain):
            if is_exactly(ahead.module, nn.Conv2d) and (new := _overwriting(act.module)) is not act.module:
                act.put(new)
                bench.applied(NAME, act.path, "the activation")


def _overwriting(act: nn.Module) -> nn.Module:
    """Give the activation as one that overwrites its input; itself where there is no such one."""
    if is_exactly(act, nn.ReLU):
        return nn.ReLU(inplace=True)
    if is_exactly(act, nn.LeakyReLU) and act.negative_slope >= 0:
        return nn.LeakyReLU(act.negative_slope, inplace=True)
    return act
