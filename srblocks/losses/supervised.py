"""Losses for networks with intermediate outputs: pyramids, recursions and dual regression."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .criterion import Criterion, check_same, weighted_sum


def _targets(owner: str, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """Return one target of the same shape for each output."""
    if isinstance(outputs, Tensor):
        raise TypeError(f"{owner}: outputs must be a list of images such as net.intermediate_outputs(lr), got a tensor")
    if isinstance(targets, Tensor):
        return targets_for(outputs, targets)
    if not outputs or len(outputs) != len(targets):
        raise ValueError(
            f"{owner}: expected one target per output or a single HR image, got {len(outputs)} outputs and "
            f"{len(targets)} targets"
        )
    for k, (output, target) in enumerate(zip(outputs, targets, strict=True)):
        check_same(f"{owner}: output {k}", output, f"target {k}", target)
    return targets


def targets_for(outputs: Sequence[Tensor], hr: Tensor) -> list[Tensor]:
    """Downscale an HR image to the sizes of several outputs by torch's antialiased bicubic interpolation.

    Args:
        outputs: images (N, C, h, w), such as those of ``net.intermediate_outputs(lr)``; none may be larger than `hr`.
        hr: image (N, C, H, W).

    Returns:
        One target per output; `hr` itself where the sizes are equal. Downscaled targets are not clamped and may
        overshoot [0, 1] slightly at sharp edges.

    Raises:
        ValueError: `outputs` is empty, N or C differ, or an output is larger than `hr`.

    Examples:
        >>> targets_for([torch.zeros(1, 3, 8, 8)], torch.rand(1, 3, 16, 16))[0].shape
        torch.Size([1, 3, 8, 8])
    """
    if not outputs:
        raise ValueError("targets_for: outputs must hold at least one image")
    targets: list[Tensor] = []
    for k, y in enumerate(outputs):
        fits = y.ndim == hr.ndim == 4 and y.shape[:2] == hr.shape[:2]
        if not fits or y.shape[2] > hr.shape[2] or y.shape[3] > hr.shape[3]:
            raise ValueError(
                f"targets_for: output {k} must be (N, C, h, w) with the N and C of hr and not larger than hr, "
                f"got {tuple(y.shape)} for an hr of {tuple(hr.shape)}"
            )
        same = y.shape == hr.shape
        targets.append(hr if same else F.interpolate(hr, list(y.shape[2:]), mode="bicubic", antialias=True))
    return targets


class SupervisedLoss(nn.Module):
    """Deep supervision of ``net.intermediate_outputs(lr)``: ``sum_k w_k criterion(outputs[k], targets[k])``.

    LapSRN uses `CharbonnierLoss` with weight 1 each (Lai et al., CVPR 2017, arXiv:1704.03915). In MemNet every output
    has the size of HR and is compared with it (Tai et al., ICCV 2017, arXiv:1708.02209). DRCN changes the weights
    during training; use `RecursiveSupervisionLoss`.

    Args:
        criterion: compares two images of the same shape.
        weights: one per output; None means 1 each.

    Shape:
        ``outputs, targets -> ()``; the targets are a list of images, or one HR image that `targets_for` downscales.

    Raises:
        TypeError: `outputs` is a tensor instead of a list.
        ValueError: the numbers of outputs, targets and weights differ, or the shapes differ.

    Examples:
        >>> outputs = [torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16, 16)]
        >>> SupervisedLoss(nn.L1Loss(), weights=[0.5, 1])(outputs, torch.ones(1, 3, 16, 16))
        tensor(1.5000)
    """

    def __init__(self, criterion: Criterion, *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.criterion = criterion
        self.weights = weights

    def forward(self, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the weighted sum over all outputs and their targets."""
        targets = _targets("SupervisedLoss", outputs, targets)
        return weighted_sum("SupervisedLoss", self.criterion, outputs, targets, self.weights)


class DualRegressionLoss(nn.Module):
    """Dual regression loss: supervise the images of all sizes and learned mappings back to the next smaller size.

    Guo et al., *Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution*, CVPR 2020,
    arXiv:2003.07018, section 3, on every level. With outputs and targets 0 (size of LR) to P (size of HR): ``sum_k
    criterion(outputs[k], targets[k]) + weight * sum_{k >= 1} criterion(duals[k - 1](outputs[k]), targets[k - 1])``.

    Args:
        duals: P networks that downscale an image by 2, coarsest first: ``duals[0]`` maps x2 images to the size of LR.
            `DRN` builds them with ``net.dual_models()``. They are submodules of this loss and are trained with it.
        weight: weight of the dual terms (paper: 0.1).
        criterion: compares two images; None means ``nn.L1Loss()``.

    Shape:
        ``outputs, targets -> ()``; P + 1 images, coarsest first, as returned by ``net.intermediate_outputs(lr)``. The
        targets are a list, or one HR image that `targets_for` downscales; a list may start with the true LR image.

    Raises:
        TypeError: `outputs` is a tensor instead of a list.
        ValueError: the number of outputs is not that of `duals` plus one, or numbers or shapes of targets differ.

    Examples:
        >>> loss = DualRegressionLoss(nn.ModuleList([nn.AvgPool2d(2)]))
        >>> loss([torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 8, 8)], torch.ones(1, 3, 8, 8))
        tensor(2.1000)
    """

    def __init__(self, duals: nn.ModuleList, *, weight: float = 0.1, criterion: Criterion | None = None) -> None:
        super().__init__()
        self.duals = duals
        self.weight = weight
        self.criterion = nn.L1Loss() if criterion is None else criterion

    def forward(self, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the loss over all outputs and all dual mappings."""
        targets = _targets("DualRegressionLoss", outputs, targets)
        if len(outputs) != len(self.duals) + 1:
            raise ValueError(
                f"DualRegressionLoss: expected {len(self.duals) + 1} outputs (one more than duals, coarsest first), "
                f"got {len(outputs)}"
            )
        total = weighted_sum("DualRegressionLoss", self.criterion, outputs, targets)
        for k, dual in enumerate(self.duals):
            back = dual(outputs[k + 1])
            check_same(f"DualRegressionLoss: duals[{k}](outputs[{k + 1}])", back, f"target {k}", targets[k])
            total = total + self.weight * self.criterion(back, targets[k])
        return total


class RecursiveSupervisionLoss(nn.Module):
    """Recursive supervision of DRCN: ``alpha * mean_d MSE(y_d, hr) + (1 - alpha) * MSE(y, hr)``.

    The y_d are the images of the recursions, y is the final output.

    Kim et al., *Deeply-Recursive Convolutional Network for Image Super-Resolution*, CVPR 2016, arXiv:1511.04491, eq.
    (6) to (8). Differs from the paper: MSE is the mean over all values, without the factor 1/2; the term
    ``beta * |theta|^2`` is left to the optimizer's weight decay.

    Args:
        alpha: weight of the recursions in [0, 1]; it may be changed at any time, see `decay`.

    Shape:
        ``outputs, hr -> ()``; outputs are ``[y_1, ..., y_D, y]``, D >= 1, as returned by DRCN's
        ``net.intermediate_outputs(lr)``, all of the shape of `hr`.

    Raises:
        TypeError: `outputs` is a tensor instead of a list.
        ValueError: `alpha` is outside [0, 1], there are fewer than two outputs, or the shapes differ.

    Examples:
        >>> loss = RecursiveSupervisionLoss()
        >>> loss.decay(5, epochs=20)
        >>> loss([torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)], torch.ones(1, 1, 4, 4))
        tensor(0.7500)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def decay(self, epoch: int, *, epochs: int = 25) -> None:
        """Set `alpha` for an epoch (counted from 0): it falls linearly from 1 to 0 at `epochs` and stays 0.

        The paper decays alpha without stating a schedule; 25 epochs are common in reimplementations.
        """
        if epoch < 0 or epochs < 1:
            raise ValueError(
                f"RecursiveSupervisionLoss: expected epoch >= 0 and epochs >= 1, got epoch={epoch}, epochs={epochs}"
            )
        self.alpha = max(0.0, 1 - epoch / epochs)

    def forward(self, outputs: Sequence[Tensor], hr: Tensor) -> Tensor:
        """Return the weighted loss of the recursions and the final output."""
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"RecursiveSupervisionLoss: alpha must be in [0, 1], got {self.alpha}")
        _targets("RecursiveSupervisionLoss", outputs, [hr] * len(outputs))
        if len(outputs) < 2:
            raise ValueError(
                "RecursiveSupervisionLoss: expected the images of the recursions and the final output, got 1 output"
            )
        *recursions, result = [F.mse_loss(output, hr) for output in outputs]
        return self.alpha * torch.stack(recursions).mean() + (1 - self.alpha) * result
