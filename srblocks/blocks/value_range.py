"""Conversion of images to the value range and mean that a network works with."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of the DIV2K training images as R, G, B in [0, 1] (Lim et al., CVPRW 2017)."""


class MeanShift(nn.Module):
    """Mean shift: subtract or add a mean color with a fixed 1x1 convolution.

    Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution*, CVPRW 2017, arXiv:1707.02921,
    section 4.2 (mean subtraction). The weights are buffers: never trained, but saved, because some published
    checkpoints hold values that training has changed. Until a checkpoint changes them, they are exact in every dtype.

    Args:
        sign: -1 to subtract the mean, +1 to add it.
        value_range: value of white in the images (1 or 255).
        mean: mean per channel as a fraction of `value_range`.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)`` with C = ``len(mean)``.

    Examples:
        >>> MeanShift(-1)
        MeanShift(shift=(-0.4488, -0.4371, -0.404))
        >>> MeanShift(-1)(torch.full((1, 3, 1, 1), 0.5)).flatten()
        tensor([0.0512, 0.0629, 0.0960])
    """

    if TYPE_CHECKING:
        weight: Tensor
        bias: Tensor

    def __init__(self, sign: int, *, value_range: float = 1.0, mean: Sequence[float] = DIV2K_MEAN) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(len(mean))[:, :, None, None].clone())
        self.shift = [sign * value_range * channel for channel in mean]
        self.register_buffer("bias", torch.tensor(self.shift))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; a mean that no checkpoint has changed is rounded from float64 each time."""
        exact = torch.tensor(self.shift, dtype=torch.float64, device="cpu")
        unchanged = not self.bias.is_meta and torch.equal(self.bias, exact.to(self.bias))
        super()._apply(fn, recurse)
        if unchanged and not self.bias.is_meta:
            self.bias = exact.to(self.bias)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Shift the image ``x``."""
        return F.conv2d(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the value added to each channel."""
        shift = self.shift if self.bias.is_meta else self.bias.tolist()
        return f"shift=({', '.join(f'{value:.4g}' for value in shift)})"


class Rescale(nn.Module):
    """Multiplication by a constant: ``x * factor``.

    Args:
        factor: the constant, for example 255 from [0, 1] to [0, 255].

    Shape:
        Any shape, unchanged.

    Examples:
        >>> Rescale(255)(torch.full((1, 1, 1, 2), 0.5)).flatten()
        tensor([127.5000, 127.5000])
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = float(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``x`` by the factor."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"factor={self.factor:g}"


def normalization(
    image_channels: int, value_range: float = 1.0, mean: Sequence[float] | None = None
) -> tuple[nn.Module, nn.Module]:
    """Return modules that convert [0, 1] images to a network's value range, and its output back.

    Args:
        image_channels: channels of the images.
        value_range: value of white inside the network (1 or 255).
        mean: mean color to subtract at the input and add at the output, as fractions of white; None for no shift.

    Returns:
        ``(normalize, denormalize)``; both are `nn.Identity` if there is nothing to convert.

    Raises:
        ValueError: ``value_range`` is not positive and finite, or the length of ``mean`` is not `image_channels`.

    Examples:
        >>> normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
        >>> denormalize(normalize(torch.full((1, 3, 1, 1), 0.25))).flatten()
        tensor([0.2500, 0.2500, 0.2500])
    """
    if not 0 < value_range < math.inf:
        raise ValueError(f"value_range must be positive and finite (usually 1 or 255), got {value_range}")
    if mean is not None and len(mean) != image_channels:
        raise ValueError(f"the mean shift needs image_channels={len(mean)}, got {image_channels}; use mean_shift=False")
    normalize: list[nn.Module] = []
    denormalize: list[nn.Module] = []
    if value_range != 1:
        normalize.append(Rescale(value_range))
        denormalize.append(Rescale(1 / value_range))
    if mean is not None:
        normalize.append(MeanShift(-1, value_range=value_range, mean=mean))
        denormalize.insert(0, MeanShift(+1, value_range=value_range, mean=mean))
    if not normalize:
        return nn.Identity(), nn.Identity()
    return nn.Sequential(*normalize), nn.Sequential(*denormalize)
