"""What all losses share: a criterion of two tensors, and the check of their shapes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Criterion = Callable[[Tensor, Tensor], Tensor]


def check_same(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Refuse two tensors of different shapes, which torch would broadcast.

    Raises:
        ValueError: the shapes differ; `first` and `second` name the tensors.
    """
    if a.shape != b.shape:
        raise ValueError(f"{first} is {tuple(a.shape)} but {second} is {tuple(b.shape)}; give two of the same shape")


def weighted_sum(
    owner: str,
    criterion: Criterion,
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Sum a criterion over pairs of tensors.

    Raises:
        ValueError: another number of weights than of outputs.
    """
    weights = [1.0] * len(outputs) if weights is None else weights
    if len(weights) != len(outputs):
        raise ValueError(f"{owner}: {len(weights)} weights for {len(outputs)} outputs; give one per output, or None")
    return torch.stack([w * criterion(y, t) for w, y, t in zip(weights, outputs, targets, strict=True)]).sum()
