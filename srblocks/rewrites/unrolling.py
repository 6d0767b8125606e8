"""Unrolled recursions: one sequence of layers per recursion step."""

from torch import Tensor, nn

from ..blocks import RecursiveBlock
from ..blocks.recursive import add_skip
from .matching import is_exactly


def layers_per_recursion(block: nn.Module) -> list[nn.Module] | None:
    """Return the layers of each recursion step in execution order, convolutions shared; None for other modules."""
    if is_exactly(block, UnrolledRecursion):
        return list(block.runs)
    if not is_exactly(block, RecursiveBlock) or type(block).states is not RecursiveBlock.states:
        return None
    runs: list[nn.Module] = []
    for norms in block.norms:
        layers: list[nn.Module] = []
        for norm, conv in zip(norms.children(), block.convs, strict=True):
            layers += [norm, block.act, conv] if block.pre_activation else [conv, norm, block.act]
        runs.append(nn.Sequential(*(layer for layer in layers if not is_exactly(layer, nn.Identity))))
    return runs


class UnrolledRecursion(RecursiveBlock):
    """A `RecursiveBlock` with separate layers per recursion step: ``x <- skip + run(x)``.

    Args:
        runs: the layers of each step.
        skip: skip connection of each step, see `RecursiveBlock`.
    """

    def __init__(self, runs: list[nn.Module], *, skip: str) -> None:
        nn.Module.__init__(self)
        self.runs = nn.ModuleList(runs)
        self.skip = skip

    def _run(self, x: Tensor, keep: bool) -> list[Tensor]:
        source = x
        outputs: list[Tensor] = []
        for run in self.runs:
            x = add_skip(run(x), skip=self.skip, previous=x, source=source)
            if not keep:
                outputs.clear()
            outputs.append(x)
        return outputs
