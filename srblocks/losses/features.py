"""Feature-based losses: content (perceptual), prior and texture."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import MissingLibraryError
from .criterion import Criterion, check_same, weighted_sum

_Self = TypeVar("_Self", bound="ContentLoss")


class ContentLoss(nn.Module):
    """Content (perceptual) loss: compare the features that a frozen network extracts from two images.

    Johnson et al., *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, ECCV 2016, arXiv:1603.08155,
    eq. (2); Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*, CVPR
    2017, arXiv:1609.04802, eq. (5).

    For a prior-based loss, pass a network whose features carry the prior, such as a face landmark or parsing network
    (Chen et al., *FSRNet*, CVPR 2018, arXiv:1711.10703).

    Args:
        features: module that maps an image to a tensor, or to a list or dict of tensors, such as `timm_features` or
            torchvision's ``create_feature_extractor``. It is frozen in place: its parameters no longer require
            gradients, and it stays in eval mode even when this loss is set to train. It must normalize the images
            itself.
        criterion: compares two feature tensors of the same shape; None means ``nn.MSELoss()``.
        weights: one weight per feature tensor; None means 1 each. The weighted terms are summed.

    Shape:
        ``sr, hr -> ()``, both of the same shape. Only ``sr`` receives a gradient.

    Raises:
        ValueError: the shapes differ, or the number of weights differs from the number of feature tensors.

    Examples:
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
        """Set the training mode, but keep the feature network in eval mode."""
        super().train(mode)
        self.features.eval()
        return self

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Return the loss between ``sr`` and ``hr``."""
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
    """Texture (style) loss: compare the Gram matrices of two images' features, independent of position.

    Gatys et al., *Texture Synthesis Using Convolutional Neural Networks*, NIPS 2015, arXiv:1505.07376; normalized as in
    Johnson et al., ECCV 2016, arXiv:1603.08155, eq. (3): ``G = F F^T / (C H W)`` for features F of shape (C, H * W).
    The default criterion averages over G; the paper sums, which is C ** 2 times larger.

    Args:
        features: as in `ContentLoss`; its tensors are (N, C, H, W).
        criterion: compares two tensors (N, C, C); None means ``nn.MSELoss()``.
        weights: one weight per feature tensor; None means 1 each.

    Shape:
        ``sr, hr -> ()``, both of the same shape. Only ``sr`` receives a gradient.

    Raises:
        ValueError: the shapes differ, a feature tensor is not (N, C, H, W), or the number of weights is wrong.

    Examples:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> TextureLoss(nn.Conv2d(3, 8, 1))(image, image.flip(3)) < 1e-12
        tensor(True)
    """

    def _describe(self, image: Tensor) -> list[Tensor]:
        return [self._gram(x) for x in super()._describe(image)]

    @staticmethod
    def _gram(x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"TextureLoss: features must have shape (N, C, H, W), got {tuple(x.shape)}")
        # Divide before the product, which could overflow in half precision.
        vectors = rearrange(x, "n c h w -> n c (h w)") / x[0].numel() ** 0.5
        return vectors @ vectors.transpose(1, 2)


class _TimmFeatures(nn.Module):
    """Normalize images and extract the features of a timm model as (N, C, H, W)."""

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float], channels_last: bool) -> None:
        super().__init__()
        self.net = net
        self.channels_last = channels_last
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of RGB images in [0, 1]."""
        if image.ndim != 4 or image.shape[1] != len(self.mean):
            raise ValueError(
                f"timm_features: expected an image of shape (N, {len(self.mean)}, H, W), got {tuple(image.shape)}; "
                "repeat the channel of a grayscale image"
            )
        found: list[Tensor] = self.net((image - self.mean) / self.std)
        return [x.movedim(-1, 1) for x in found] if self.channels_last else found


def timm_features(name: str, *, pretrained: bool, out_indices: Sequence[int] | None = None) -> nn.Module:
    """Build a timm model that returns intermediate features, for `ContentLoss` and `TextureLoss`.

    Args:
        name: a name from ``timm.list_models()``, such as "vgg19".
        pretrained: load timm's weights (downloaded on first use). There is no default because a loss on random features
            trains without an error toward a useless target.
        out_indices: stages of the model to use, finest first; None for timm's default.

    Returns:
        A module ``(N, 3, H, W) -> list of (N, C, h, w)``. It takes RGB images in [0, 1] and normalizes them by the
        mean and standard deviation in the model's ``default_cfg``.

    Raises:
        MissingLibraryError: timm is not installed.
        ValueError: timm has no such model, weights or stages; when called, the image has the wrong shape.

    Examples:
        >>> features = timm_features("resnet18", pretrained=False, out_indices=[0, 1])
        >>> [tuple(x.shape) for x in features(torch.rand(1, 3, 32, 32))]
        [(1, 64, 16, 16), (1, 64, 8, 8)]
    """
    try:
        import timm  # noqa: PLC0415 (an optional library)
    except ImportError as error:
        raise MissingLibraryError("timm_features requires timm", 'pip install "srblocks[timm]"') from error
    chosen: dict[str, Any] = {} if out_indices is None else {"out_indices": tuple(out_indices)}
    try:
        net = timm.create_model(name, pretrained=pretrained, features_only=True, **chosen)
    except (AssertionError, IndexError, RuntimeError) as error:
        raise ValueError(
            f"timm cannot create features of {name!r} with pretrained={pretrained}, out_indices={out_indices}: "
            f"{error}; see timm.list_models() and the model's feature_info"
        ) from error
    known = cast(Mapping[str, Sequence[float]], net.default_cfg)
    return _TimmFeatures(net, known["mean"], known["std"], getattr(net, "output_fmt", "NCHW") == "NHWC")
