"""Value range and mean of the images that a network works on."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of DIV2K's training images as R, G, B in [0, 1] (Lim et al., CVPRW 2017)."""


class MeanShift(nn.Module):
    """Subtract or add a mean color: a fixed 1x1 convolution.

    Lim et al., *Enhanced Deep Residual Networks for Single Image Super-Resolution*, CVPRW 2017, arXiv:1707.02921,
    section 4.2 (mean subtraction). The weights are buffers: never trained, but saved, because some published
    checkpoints carry values that training moved. As long as they are the constructor's they are exact in every dtype.

    Args:
        sign: -1 to subtract the mean, +1 to add it.
        value_range: the value of white in the images (1 or 255).
        mean: mean per channel as a fraction of `value_range`.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)`` with C = ``len(mean)``.

    Example:
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
        """Convert the module; a mean that no checkpoint changed comes from float64 each time."""
        exact = torch.tensor(self.shift, dtype=torch.float64, device="cpu")
        own = not self.bias.is_meta and torch.equal(self.bias, exact.to(self.bias))
        super()._apply(fn, recurse)
        if own and not self.bias.is_meta:
            self.bias = exact.to(self.bias)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Shift the image ``x``."""
        return F.conv2d(x, self.weight, self.bias)


class Rescale(nn.Module):
    """Multiply by a constant: ``x * factor``.

    Args:
        factor: the constant, for instance 255 from [0, 1] to [0, 255].

    Shape:
        any shape, unchanged.

    Example:
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
        """Show the factor."""
        return f"factor={self.factor:g}"


def normalization(
    image_channels: int, value_range: float = 1.0, mean: Sequence[float] | None = None
) -> tuple[nn.Module, nn.Module]:
    """Modules that bring [0, 1] images into a network's range and its output back.

    Args:
        image_channels: channels of the images.
        value_range: the value of white inside the network (1 or 255).
        mean: mean color to subtract inside and to add back, as fractions of white; None for none.

    Returns:
        ``(normalize, denormalize)``; identities where there is nothing to do.

    Raises:
        ValueError: ``value_range`` is not positive and finite, or ``mean`` of another number of channels.

    Example:
        >>> normalize, denormalize = normalization(3, 255, DIV2K_MEAN)
        >>> denormalize(normalize(torch.full((1, 3, 1, 1), 0.25))).flatten()
        tensor([0.2500, 0.2500, 0.2500])
    """
    if not 0 < value_range < math.inf:
        raise ValueError(f"value_range={value_range} is not positive and finite; use 1 or 255")
    if mean is not None and len(mean) != image_channels:
        raise ValueError(
            f"a mean shift of {len(mean)} channels does not fit image_channels={image_channels}; use mean_shift=False"
        )
    inside: list[nn.Module] = []
    outside: list[nn.Module] = []
    if value_range != 1:
        inside.append(Rescale(value_range))
        outside.append(Rescale(1 / value_range))
    if mean is not None:
        inside.append(MeanShift(-1, value_range=value_range, mean=mean))
        outside.insert(0, MeanShift(+1, value_range=value_range, mean=mean))
    return (nn.Sequential(*inside), nn.Sequential(*outside)) if inside else (nn.Identity(), nn.Identity())
