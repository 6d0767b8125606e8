"""Pixel losses: Charbonnier, total variation and cycle consistency."""

from collections.abc import Callable

from torch import Tensor, nn

from .criterion import Criterion, check_same


class CharbonnierLoss(nn.Module):
    """Charbonnier loss: mean of ``sqrt(d ** 2 + eps ** 2)`` with d = sr - hr, an L1 that is smooth at zero.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017, arXiv:1704.03915,
    the penalty rho of the loss. It is `eps`, not zero, for equal images.

    Args:
        eps: width of the smooth region, in image units; must be positive (paper: 1e-3).

    Shape:
        ``sr, hr -> ()``, both of the same shape; the result is at least `eps`.

    Raises:
        ValueError: `eps` is not positive, or the shapes differ.

    Examples:
        >>> CharbonnierLoss(eps=3.0)(torch.full((1, 1, 2, 2), 4.0), torch.zeros(1, 1, 2, 2))
        tensor(5.)
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"CharbonnierLoss: eps must be positive, got {eps}; use nn.L1Loss for eps=0")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss between ``sr`` and ``hr``."""
        check_same("CharbonnierLoss: sr", sr, "hr", hr)
        return ((sr - hr).square() + self.eps**2).sqrt().mean()


class TotalVariationLoss(nn.Module):
    """Anisotropic total variation of an image: a smoothness penalty that needs no target.

    The mean of ``|x[i + 1, j] - x[i, j]|`` plus the mean of ``|x[i, j + 1] - x[i, j]|``, each over all pairs of
    neighbors. Rudin et al., *Nonlinear total variation based noise removal algorithms*, Physica D 1992, uses the
    isotropic form (root of the sum of squares) and a sum instead of the mean.

    Shape:
        ``(..., H, W) -> ()`` with H, W >= 2; 0 for a constant image.

    Raises:
        ValueError: a side is a single pixel, so it has no neighbors.

    Examples:
        >>> TotalVariationLoss()(torch.tensor([[0.0, 1.0], [0.5, 1.5]]))
        tensor(1.5000)
    """

    def forward(self, sr: Tensor) -> Tensor:
        """Return the total variation of ``sr``."""
        if sr.ndim < 2 or min(sr.shape[-2:]) < 2:
            raise ValueError(f"TotalVariationLoss: expected an image (..., H, W) with H, W >= 2, got {tuple(sr.shape)}")
        return sr.diff(dim=-2).abs().mean() + sr.diff(dim=-1).abs().mean()


class CycleLoss(nn.Module):
    """Cycle-consistency loss: degrade the output again and compare it with the input, ``criterion(degrade(sr), lr)``.

    Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*, ICCV 2017,
    arXiv:1703.10593, eq. (2); for super-resolution Yuan et al., *CinCGAN*, CVPRW 2018, arXiv:1809.00437.

    Args:
        degrade: differentiable map from HR to LR: a function, or a module (it becomes a submodule of this loss).
        criterion: compares two images; None means ``nn.L1Loss()``.

    Shape:
        ``sr (N, C, s H, s W), lr (N, C, H, W) -> ()``.

    Raises:
        ValueError: the output of `degrade` does not have the shape of `lr`.

    Examples:
        >>> CycleLoss(nn.AvgPool2d(2))(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 4, 4))
        tensor(1.)
    """

    def __init__(self, degrade: Callable[[Tensor], Tensor], criterion: Criterion | None = None) -> None:
        super().__init__()
        self.degrade = degrade
        self.criterion = nn.L1Loss() if criterion is None else criterion

    def forward(self, sr: Tensor, lr: Tensor) -> Tensor:
        """Return the loss between the degraded ``sr`` and ``lr``."""
        back = self.degrade(sr)
        check_same("CycleLoss: degrade(sr)", back, "lr", lr)
        return self.criterion(back, lr)
