"""Losses of networks with several outputs: pyramids, recursions, dual regression."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .criterion import Criterion, check_same, weighted_sum


def _targets(owner: str, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """Give one target per output, of its shape."""
    if isinstance(outputs, Tensor):
        raise TypeError(f"{owner}: outputs is one tensor; give a list of images, such as net.intermediate_outputs(lr)")
    if isinstance(targets, Tensor):
        return targets_for(outputs, targets)
    if not outputs or len(outputs) != len(targets):
        raise ValueError(
            f"{owner}: {len(outputs)} outputs but {len(targets)} targets; "
            "give at least one output, and one target for each, or the HR image alone"
        )
    for k, (output, target) in enumerate(zip(outputs, targets, strict=True)):
        check_same(f"{owner}: output {k}", output, "its target", target)
    return targets


def targets_for(outputs: Sequence[Tensor], hr: Tensor) -> list[Tensor]:
    """Reduce one HR image to the sizes of several outputs, by torch's antialiased bicubic interpolation.

    Args:
        outputs: images (N, C, h, w), such as those of ``net.intermediate_outputs(lr)``; none larger than `hr`.
        hr: image (N, C, H, W).

    Returns:
        One target per output. Outputs of the size of `hr` get `hr` itself. Reduced targets are not clamped: at sharp
        edges they may leave [0, 1] by a little.

    Raises:
        ValueError: no output, another N or C, or an output larger than `hr`.

    Example:
        >>> targets_for([torch.zeros(1, 3, 8, 8)], torch.rand(1, 3, 16, 16))[0].shape
        torch.Size([1, 3, 8, 8])
    """
    if not outputs:
        raise ValueError("targets_for: no outputs; give at least one image")
    targets: list[Tensor] = []
    for k, y in enumerate(outputs):
        fits = y.ndim == hr.ndim == 4 and y.shape[:2] == hr.shape[:2]
        if not fits or y.shape[2] > hr.shape[2] or y.shape[3] > hr.shape[3]:
            raise ValueError(
                f"targets_for: output {k} is {tuple(y.shape)} but hr is {tuple(hr.shape)}; "
                "give outputs (N, C, h, w) with hr's N and C, not larger than hr"
            )
        same = y.shape == hr.shape
        targets.append(hr if same else F.interpolate(hr, list(y.shape[2:]), mode="bicubic", antialias=True))
    return targets


class SupervisedLoss(nn.Module):
    """Supervise all images of ``net.intermediate_outputs(lr)``: ``sum_k w_k criterion(outputs[k], targets[k])``.

    LapSRN: `CharbonnierLoss` with weight 1 each (Lai et al., CVPR 2017, arXiv:1704.03915). MemNet: all outputs have the
    size of HR and are compared with it (Tai et al., ICCV 2017, arXiv:1708.02209). DRCN changes its weights while it
    learns: `RecursiveSupervisionLoss`.

    Args:
        criterion: comparison of two images of one shape.
        weights: one per output; None is 1 each.

    Shape:
        ``outputs, targets -> ()``; the targets are a list of images, or one HR image, which goes through `targets_for`.

    Raises:
        TypeError: the outputs are one tensor.
        ValueError: another number of targets or weights than of outputs; different shapes.

    Example:
        >>> outputs = [torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16, 16)]
        >>> SupervisedLoss(nn.L1Loss(), weights=[0.5, 1])(outputs, torch.ones(1, 3, 16, 16))
        tensor(1.5000)
    """

    def __init__(self, criterion: Criterion, *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.criterion = criterion
        self.weights = weights

    def forward(self, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Tensor:
        """Compare every output with its target."""
        targets = _targets("SupervisedLoss", outputs, targets)
        return weighted_sum("SupervisedLoss", self.criterion, outputs, targets, self.weights)


class DualRegressionLoss(nn.Module):
    """Supervise the images of all sizes, and learned ways back from each to the next smaller size.

    Guo et al., *Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution*, CVPR 2020,
    arXiv:2003.07018, section 3, on every level. With outputs and targets 0 (size of LR) to P (size of HR): ``sum_k
    criterion(outputs[k], targets[k]) + weight * sum_{k >= 1} criterion(duals[k - 1](outputs[k]), targets[k - 1])``.

    Args:
        duals: P networks that halve an image, coarsest first: ``duals[0]`` takes x2 images down to the size of LR. DRN
            makes them, ``net.dual_models()``. They are trained too: their parameters are those of this loss.
        weight: weight of the dual terms (paper: 0.1).
        criterion: comparison of two images; None is ``nn.L1Loss()``.

    Shape:
        ``outputs, targets -> ()``; P + 1 images, coarsest first, as ``net.intermediate_outputs(lr)`` gives them. The targets are
        a list, or one HR image, which goes through `targets_for`; a list can begin with the true LR image.

    Raises:
        TypeError: the outputs are one tensor.
        ValueError: not one output more than duals; another number of targets; different shapes.

    Example:
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
        """Compare every output, and every way back, with its target."""
        targets = _targets("DualRegressionLoss", outputs, targets)
        if len(outputs) != len(self.duals) + 1:
            raise ValueError(
                f"DualRegressionLoss: {len(outputs)} outputs for {len(self.duals)} duals; "
                "give one output more than duals, coarsest first"
            )
        total = weighted_sum("DualRegressionLoss", self.criterion, outputs, targets)
        for k, dual in enumerate(self.duals):
            back = dual(outputs[k + 1])
            check_same(f"DualRegressionLoss: duals[{k}](outputs[{k + 1}])", back, f"target {k}", targets[k])
            total = total + self.weight * self.criterion(back, targets[k])
        return total


class RecursiveSupervisionLoss(nn.Module):
    """DRCN's loss on its recursions y_d and its result y: ``alpha * mean_d MSE(y_d, hr) + (1 - alpha) * MSE(y, hr)``.

    Kim et al., *Deeply-Recursive Convolutional Network for Image Super-Resolution*, CVPR 2016, arXiv:1511.04491, eq.
    (6) to (8). Differs from the paper: MSE is the mean over all values, without the factor 1/2; the term
    ``beta * |theta|^2`` is weight decay, which is the optimizer's work.

    Args:
        alpha: weight of the recursions in [0, 1]; an attribute that can be set at any time. `decay` lowers it.

    Shape:
        ``outputs, hr -> ()``; outputs are ``[y_1, ..., y_D, y]``, D >= 1, as DRCN's ``net.intermediate_outputs(lr)`` gives them,
        all of the shape of `hr`.

    Raises:
        TypeError: the outputs are one tensor.
        ValueError: alpha outside [0, 1]; fewer than two outputs; different shapes.

    Example:
        >>> loss = RecursiveSupervisionLoss()
        >>> loss.decay(5, epochs=20)
        >>> loss([torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)], torch.ones(1, 1, 4, 4))
        tensor(0.7500)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def decay(self, epoch: int, *, epochs: int = 25) -> None:
        """Set `alpha` for an epoch, counted from 0: linearly from 1 at epoch 0 to 0 at epoch `epochs`, then 0.

        The paper decays alpha too, but gives no schedule; 25 epochs are usual in ports of it.
        """
        if epoch < 0 or epochs < 1:
            raise ValueError(f"RecursiveSupervisionLoss: epoch={epoch} of {epochs}; use epoch >= 0 and epochs >= 1")
        self.alpha = max(0.0, 1 - epoch / epochs)

    def forward(self, outputs: Sequence[Tensor], hr: Tensor) -> Tensor:
        """Compare the images of the recursions, and their combination, with ``hr``."""
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"RecursiveSupervisionLoss: alpha={self.alpha}; use 0 <= alpha <= 1")
        _targets("RecursiveSupervisionLoss", outputs, [hr] * len(outputs))
        if len(outputs) < 2:
            raise ValueError("RecursiveSupervisionLoss: 1 output; give the images of the recursions and the result")
        *recursions, result = [F.mse_loss(output, hr) for output in outputs]
        return self.alpha * torch.stack(recursions).mean() + (1 - self.alpha) * result
