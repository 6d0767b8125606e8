"""Losses of the super-resolution literature that torch does not have.

L1 and L2 are torch's own, ``nn.L1Loss()`` and ``nn.MSELoss()``, and fit every `criterion` here. Arguments come in the
order result, target; results are scalars, means unless said. Images are (N, C, H, W) with values in [0, 1].
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

Criterion = Callable[[Tensor, Tensor], Tensor]
_Self = TypeVar("_Self", bound="ContentLoss")


def _check_same(first: str, a: Tensor, second: str, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"{first} is {tuple(a.shape)} but {second} is {tuple(b.shape)}; give two of the same shape")


def _targets(owner: str, outputs: Sequence[Tensor], targets: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """Give one target per output, of its shape."""
    if isinstance(outputs, Tensor):
        raise TypeError(f"{owner}: outputs is one tensor; give a list of images, such as net.supervised(lr)")
    if isinstance(targets, Tensor):
        return targets_for(outputs, targets)
    if not outputs or len(outputs) != len(targets):
        raise ValueError(
            f"{owner}: {len(outputs)} outputs but {len(targets)} targets; "
            "give at least one output, and one target for each, or the HR image alone"
        )
    for k, (output, target) in enumerate(zip(outputs, targets, strict=True)):
        _check_same(f"{owner}: output {k}", output, "its target", target)
    return targets


def _total(
    owner: str,
    criterion: Criterion,
    outputs: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Sequence[float] | None = None,
) -> Tensor:
    weights = [1.0] * len(outputs) if weights is None else weights
    if len(weights) != len(outputs):
        raise ValueError(f"{owner}: {len(weights)} weights for {len(outputs)} outputs; give one per output, or None")
    return torch.stack([w * criterion(y, t) for w, y, t in zip(weights, outputs, targets, strict=True)]).sum()


def targets_for(outputs: Sequence[Tensor], hr: Tensor) -> list[Tensor]:
    """Reduce one HR image to the sizes of several outputs, by torch's antialiased bicubic interpolation.

    Args:
        outputs: images (N, C, h, w), such as those of ``net.supervised(lr)``; none larger than `hr`.
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
        _check_same("CharbonnierLoss: sr", sr, "hr", hr)
        return ((sr - hr).square() + self.eps**2).sqrt().mean()


class TotalVariationLoss(nn.Module):
    """Anisotropic total variation of one image: a penalty on noise that needs no target.

    The mean of ``|x[i + 1, j] - x[i, j]|`` plus the mean of ``|x[i, j + 1] - x[i, j]|``, each over the neighbours that
    there are. Rudin et al., *Nonlinear total variation based noise removal algorithms*, Physica D 1992, uses the
    isotropic form (root of the squares' sum) and a sum in the place of the mean.

    Shape:
        ``(..., H, W) -> ()`` with H, W >= 2; 0 for a constant image.

    Raises:
        ValueError: a side of one pixel, which has no neighbours.

    Example:
        >>> TotalVariationLoss()(torch.tensor([[0.0, 1.0], [0.5, 1.5]]))
        tensor(1.5000)
    """

    def forward(self, sr: Tensor) -> Tensor:
        """Measure the image ``sr``."""
        if sr.ndim < 2 or min(sr.shape[-2:]) < 2:
            raise ValueError(f"TotalVariationLoss: the image is {tuple(sr.shape)}; give (..., H, W) with H, W >= 2")
        return sr.diff(dim=-2).abs().mean() + sr.diff(dim=-1).abs().mean()


class ContentLoss(nn.Module):
    """Compare the features of two images under a fixed network: perceptual or content loss.

    Johnson et al., *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, ECCV 2016, arXiv:1603.08155,
    eq. (2); Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*, CVPR
    2017, arXiv:1609.04802, eq. (5).

    The prior-based loss is this one with features that carry a prior: give a face landmark or parsing network, as for
    faces in Chen et al., *FSRNet*, CVPR 2018, arXiv:1711.10703.

    Args:
        features: any module image -> tensor, or a list or dict of tensors: `timm_features`, or torchvision's
            ``create_feature_extractor``. It is frozen here and for all its other users: no gradients for its
            parameters, and eval mode, which it keeps when this loss is set to train. The images reach it as they are;
            normalising them is its work.
        criterion: comparison of two feature tensors of one shape; None is ``nn.MSELoss()``.
        weights: one weight per feature tensor; None is 1 each. The weighted comparisons are summed.

    Shape:
        ``sr, hr -> ()``, both of one shape. The gradient goes to ``sr`` alone.

    Raises:
        ValueError: different shapes; another number of weights than of feature tensors.

    Example:
        >>> loss = ContentLoss(nn.Conv2d(3, 8, 3), nn.L1Loss())
        >>> loss(torch.rand(1, 3, 8, 8, requires_grad=True), torch.rand(1, 3, 8, 8)).shape
        torch.Size([])
    """

    def __init__(
        self, features: nn.Module, criterion: Criterion | None = None, *, weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.features = features.requires_grad_(False).eval()
        self.criterion = nn.MSELoss() if criterion is None else criterion
        self.weights = weights

    def train(self: _Self, mode: bool = True) -> _Self:
        """Set the mode of this loss, but leave its features in eval mode."""
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Compare ``sr`` with ``hr``."""
        owner = type(self).__name__
        _check_same(f"{owner}: sr", sr, "hr", hr)
        with torch.no_grad():
            targets = self._describe(hr)
        return _total(owner, self.criterion, self._describe(sr), targets, self.weights)

    def _describe(self, image: Tensor) -> list[Tensor]:
        found: Tensor | Mapping[str, Tensor] | Iterable[Tensor] = self.features(image)
        if isinstance(found, Tensor):
            return [found]
        return list(cast(Mapping[str, Tensor], found).values() if isinstance(found, Mapping) else found)


class TextureLoss(ContentLoss):
    """Compare which features occur together, wherever they are: Gram matrices of features; style or texture loss.

    Gatys et al., *Texture Synthesis Using Convolutional Neural Networks*, NIPS 2015, arXiv:1505.07376; normalised as in
    Johnson et al., ECCV 2016, arXiv:1603.08155, eq. (3): ``G = F F^T / (C H W)`` for features F of shape (C, H * W).
    With the default criterion it is the mean over G, where the paper sums (C ** 2 times as much).

    Args:
        features: as in `ContentLoss`; its tensors are (N, C, H, W).
        criterion: comparison of two tensors (N, C, C); None is ``nn.MSELoss()``.
        weights: one weight per feature tensor; None is 1 each.

    Shape:
        ``sr, hr -> ()``, both of one shape. The gradient goes to ``sr`` alone.

    Raises:
        ValueError: different shapes; features that are not (N, C, H, W); another number of weights.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> TextureLoss(nn.Conv2d(3, 8, 1))(image, image.flip(3)) < 1e-12
        tensor(True)
    """

    def _describe(self, image: Tensor) -> list[Tensor]:
        return [self._gram(x) for x in super()._describe(image)]

    @staticmethod
    def _gram(x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"TextureLoss: a feature tensor is {tuple(x.shape)}; use features of shape (N, C, H, W)")
        # Divided before the product, which could overflow in half precision.
        vectors = rearrange(x, "n c h w -> n c (h w)") / x[0].numel() ** 0.5
        return vectors @ vectors.transpose(1, 2)


class _TimmFeatures(nn.Module):
    """Normalise images, and give a timm network's features of them as (N, C, H, W)."""

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float], channels_last: bool) -> None:
        super().__init__()
        self.net = net
        self.channels_last = channels_last
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Give the features of RGB images in [0, 1]."""
        if image.ndim != 4 or image.shape[1] != len(self.mean):
            raise ValueError(
                f"timm_features: the image is {tuple(image.shape)}; "
                f"this network takes (N, {len(self.mean)}, H, W); repeat the channel of a grey image"
            )
        found: list[Tensor] = self.net((image - self.mean) / self.std)
        return [x.movedim(-1, 1) for x in found] if self.channels_last else found


def timm_features(name: str, *, pretrained: bool, out_indices: Sequence[int] | None = None) -> nn.Module:
    """Build a network of timm that gives its inner features of an image, for `ContentLoss` and `TextureLoss`.

    Args:
        name: a model of ``timm.list_models()``, such as "vgg19".
        pretrained: load timm's weights, from the network on first use. There is no default, because a loss on random
            features trains without complaint towards nothing that anybody wants.
        out_indices: which of the model's stages, finest first; None for timm's choice.

    Returns:
        A module ``(N, 3, H, W) -> list of (N, C, h, w)``. It takes RGB in [0, 1] and normalises it with the mean and
        deviation of the model's own ``default_cfg``.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no such model, weights or stages; later, an image of another shape.

    Example:
        >>> features = timm_features("resnet18", pretrained=False, out_indices=[0, 1])
        >>> [tuple(x.shape) for x in features(torch.rand(1, 3, 32, 32))]
        [(1, 64, 16, 16), (1, 64, 8, 8)]
    """
    try:
        import timm  # noqa: PLC0415 (import srblocks is to stay light)
    except ImportError as error:
        raise ImportError('timm_features needs timm; pip install "srblocks[timm]"') from error
    chosen: dict[str, Any] = {} if out_indices is None else {"out_indices": tuple(out_indices)}
    try:
        net = timm.create_model(name, pretrained=pretrained, features_only=True, **chosen)
    except (AssertionError, IndexError, RuntimeError) as error:
        raise ValueError(
            f"timm gives no features of {name!r} with pretrained={pretrained}, out_indices={out_indices}: {error}; "
            "see timm.list_models() and the model's feature_info"
        ) from error
    known = cast(Mapping[str, Sequence[float]], net.default_cfg)
    return _TimmFeatures(net, known["mean"], known["std"], getattr(net, "output_fmt", "NCHW") == "NHWC")


class AdversarialLoss(nn.Module):
    """The two sides of adversarial training, on logits (no sigmoid behind the discriminator).

    With D the logits, sigma the sigmoid and E the mean over all values:

    ``"vanilla"``: ``-E[log sigma(D(real))] - E[log(1 - sigma(D(fake)))]`` for the discriminator and
    ``-E[log sigma(D(fake))]`` for the generator (non-saturating). Goodfellow et al., *Generative Adversarial Nets*,
    NIPS 2014, arXiv:1406.2661, eq. (1) and section 3.

    ``"least_squares"``: ``E[(D(real) - 1)^2] / 2 + E[D(fake)^2] / 2`` and ``E[(D(fake) - 1)^2] / 2``. Mao et al.,
    *Least Squares Generative Adversarial Networks*, ICCV 2017, arXiv:1611.04076, labels 0 and 1.

    ``"hinge"``: ``E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]`` and ``-E[D(fake)]``. Lim and Ye, *Geometric GAN*,
    2017, arXiv:1705.02894.

    Call `generator` and `discriminator`; there is no forward.

    Args:
        kind: "vanilla", "least_squares" or "hinge".

    Shape:
        logits of any shape, ``-> ()``; one value per image or per patch, real and fake may differ in number.

    Raises:
        ValueError: another kind.

    Example:
        >>> loss = AdversarialLoss("hinge")
        >>> loss.generator(torch.tensor([2.0])), loss.discriminator(torch.tensor([0.5]), torch.tensor([-2.0]))
        (tensor(-2.), tensor(0.5000))
    """

    def __init__(self, kind: Literal["vanilla", "least_squares", "hinge"]) -> None:
        super().__init__()
        if kind not in ("vanilla", "least_squares", "hinge"):
            raise ValueError(f"AdversarialLoss: kind={kind!r}; use 'vanilla', 'least_squares' or 'hinge'")
        self.kind = kind

    def generator(self, fake: Tensor) -> Tensor:
        """Give the generator's loss from the logits of its images."""
        if self.kind == "vanilla":
            return -F.logsigmoid(fake).mean()
        if self.kind == "least_squares":
            return (fake - 1).square().mean() / 2
        return -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Give the discriminator's loss; `fake` are the logits of detached images, ``D(sr.detach())``."""
        if self.kind == "vanilla":
            return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()
        if self.kind == "least_squares":
            return (real - 1).square().mean() / 2 + fake.square().mean() / 2
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


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
        _check_same("CycleLoss: degrade(sr)", back, "lr", lr)
        return self.criterion(back, lr)


class SupervisedLoss(nn.Module):
    """Supervise all images of ``net.supervised(lr)``: ``sum_k w_k criterion(outputs[k], targets[k])``.

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
        return _total("SupervisedLoss", self.criterion, outputs, targets, self.weights)


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
        ``outputs, targets -> ()``; P + 1 images, coarsest first, as ``net.supervised(lr)`` gives them. The targets are
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
        total = _total("DualRegressionLoss", self.criterion, outputs, targets)
        for k, dual in enumerate(self.duals):
            back = dual(outputs[k + 1])
            _check_same(f"DualRegressionLoss: duals[{k}](outputs[{k + 1}])", back, f"target {k}", targets[k])
            total = total + self.weight * self.criterion(back, targets[k])
        return total


class RecursiveSupervisionLoss(nn.Module):
    """DRCN's loss on its recursions y_d and its result y: ``alpha * mean_d MSE(y_d, hr) + (1 - alpha) * MSE(y, hr)``.

    Kim et al., *Deeply-Recursive Convolutional Network for Image Super-Resolution*, CVPR 2016, arXiv:1511.04491, eq.
    (6) to (8). Differs from the paper: MSE is the mean over all values, without the factor 1/2; the term
    ``beta * |theta|^2`` is weight decay, which is the optimiser's work.

    Args:
        alpha: weight of the recursions in [0, 1]; an attribute that can be set at any time. `decay` lowers it.

    Shape:
        ``outputs, hr -> ()``; outputs are ``[y_1, ..., y_D, y]``, D >= 1, as DRCN's ``net.supervised(lr)`` gives them,
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
