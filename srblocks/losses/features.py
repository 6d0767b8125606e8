"""Losses of the features that a fixed network sees: content, prior, texture."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from .criterion import Criterion, check_same, weighted_sum

_Self = TypeVar("_Self", bound="ContentLoss")


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
            normalizing them is its work.
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
        check_same(f"{owner}: sr", sr, "hr", hr)
        with torch.no_grad():
            targets = self._describe(hr)
        return weighted_sum(owner, self.criterion, self._describe(sr), targets, self.weights)

    def _describe(self, image: Tensor) -> list[Tensor]:
        found: Tensor | Mapping[str, Tensor] | Iterable[Tensor] = self.features(image)
        if isinstance(found, Tensor):
            return [found]
        return list(cast(Mapping[str, Tensor], found).values() if isinstance(found, Mapping) else found)


class TextureLoss(ContentLoss):
    """Compare which features occur together, wherever they are: Gram matrices of features; style or texture loss.

    Gatys et al., *Texture Synthesis Using Convolutional Neural Networks*, NIPS 2015, arXiv:1505.07376; normalized as in
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
                f"this network takes (N, {len(self.mean)}, H, W); repeat the channel of a gray image"
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
        A module ``(N, 3, H, W) -> list of (N, C, h, w)``. It takes RGB in [0, 1] and normalizes it with the mean and
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
