"""Losses of pixels: Charbonnier, total variation, cycle consistency."""

from collections.abc import Callable

from torch import Tensor, nn

from .criterion import Criterion, check_same


class CharbonnierLoss(nn.Module):
    """Mean of ``sqrt(d ** 2 + eps ** 2)`` over all values, d = sr - hr: L1 that is smooth at zero.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017, arXiv:1704.03915,
    the penalty rho of the loss. Equal images give `eps`, not zero.

    Args:
        eps: width of the round bottom, in the unit of the images, above 0 (paper: 1e-3).

    Shape:
        ``sr, hr -> ()``, both of one shape; at least `eps`.

    Raises:
        ValueError: `eps` not above 0; different shapes.

    Example:
        >>> CharbonnierLoss(eps=3.0)(torch.full((1, 1, 2, 2), 4.0), torch.zeros(1, 1, 2, 2))
        tensor(5.)
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"CharbonnierLoss: eps={eps} has no gradient at d = 0; use eps > 0, or nn.L1Loss")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Compare ``sr`` with ``hr``."""
        check_same("CharbonnierLoss: sr", sr, "hr", hr)
        return ((sr - hr).square() + self.eps**2).sqrt().mean()


class TotalVariationLoss(nn.Module):
    """Anisotropic total variation of one image: a penalty on noise that needs no target.

    The mean of ``|x[i + 1, j] - x[i, j]|`` plus the mean of ``|x[i, j + 1] - x[i, j]|``, each over the neighbors that
    there are. Rudin et al., *Nonlinear total variation based noise removal algorithms*, Physica D 1992, uses the
    isotropic form (root of the squares' sum) and a sum in the place of the mean.

    Shape:
        ``(..., H, W) -> ()`` with H, W >= 2; 0 for a constant image.

    Raises:
        ValueError: a side of one pixel, which has no neighbors.

    Example:
        >>> TotalVariationLoss()(torch.tensor([[0.0, 1.0], [0.5, 1.5]]))
        tensor(1.5000)
    """

    def forward(self, sr: Tensor) -> Tensor:
        """Measure the image ``sr``."""
        if sr.ndim < 2 or min(sr.shape[-2:]) < 2:
            raise ValueError(f"TotalVariationLoss: the image is {tuple(sr.shape)}; give (..., H, W) with H, W >= 2")
        return sr.diff(dim=-2).abs().mean() + sr.diff(dim=-1).abs().mean()


class CycleLoss(nn.Module):
    """Compare the result, degraded again, with the image that it came from: ``criterion(degrade(sr), lr)``.

    Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*, ICCV 2017,
    arXiv:1703.10593, eq. (2); for super-resolution Yuan et al., *CinCGAN*, CVPRW 2018, arXiv:1809.00437.

    Args:
        degrade: HR -> LR, differentiable: a function, or a module, which then is part of this loss.
        criterion: comparison of two images; None is ``nn.L1Loss()``.

    Shape:
        ``sr (N, C, s H, s W), lr (N, C, H, W) -> ()``.

    Raises:
        ValueError: `degrade` gives another shape than that of `lr`.

    Example:
        >>> CycleLoss(nn.AvgPool2d(2))(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 4, 4))
        tensor(1.)
    """

    def __init__(self, degrade: Callable[[Tensor], Tensor], criterion: Criterion | None = None) -> None:
        super().__init__()
        self.degrade = degrade
        self.criterion = nn.L1Loss() if criterion is None else criterion

    def forward(self, sr: Tensor, lr: Tensor) -> Tensor:
        """Compare the degraded ``sr`` with ``lr``."""
        back = self.degrade(sr)
        check_same("CycleLoss: degrade(sr)", back, "lr", lr)
        return self.criterion(back, lr)
