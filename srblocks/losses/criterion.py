"""The criterion type and the shape checks shared by all losses."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Criterion = Callable[[Tensor, Tensor], Tensor]


def check_same(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Raise if two tensors differ in shape; torch would broadcast them.

    Raises:
        ValueError: the shapes differ; the message calls the tensors `first` and `second`.
    """
    if a.shape != b.shape:
        raise ValueError(f"{first} and {second} must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")


def weighted_sum(
    owner: str,
    criterion: Criterion,
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Return the weighted sum of a criterion over pairs of tensors.

    Raises:
        ValueError: the number of weights differs from the number of outputs.
    """
    weights = [1.0] * len(outputs) if weights is None else weights
    if len(weights) != len(outputs):
        raise ValueError(f"{owner}: expected one weight per output ({len(outputs)}), got {len(weights)}")
    return torch.stack([w * criterion(y, t) for w, y, t in zip(weights, outputs, targets, strict=True)]).sum()
