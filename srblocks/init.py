"""Weight initialization of convolutions and upsampling layers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_RANDOM_INIT = {"kaiming_uniform_", "kaiming_normal_", "normal_", "uniform_"}


def icnr_(weight: Tensor, scale: int, init: Callable[[Tensor], object] = nn.init.kaiming_normal_) -> Tensor:
    """Initialize the convolution before a pixel shuffle to nearest-neighbor upsampling (ICNR).

    Aitken et al., *Checkerboard artifact free sub-pixel convolution*, 2017, arXiv:1707.02937, section 3: the
    ``scale ** 2`` kernels of one output channel start equal.

    Args:
        weight: weight of the convolution, shape (C * scale**2, in_channels, k, k); modified in place.
        scale: scale factor of the pixel shuffle.
        init: in-place initializer for one kernel per output channel.

    Returns:
        `weight`. Initialize the bias yourself; the result is nearest-neighbor upsampling only if all values are equal.

    Raises:
        ValueError: the first dimension of `weight` is not divisible by ``scale ** 2``.

    Examples:
        >>> weight = icnr_(torch.empty(8, 3, 3, 3), 2)
        >>> bool((weight[0] == weight[3]).all()), bool((weight[0] == weight[4]).all())
        (True, False)
    """
    if weight.shape[0] % scale**2:
        raise ValueError(
            f"icnr_: the number of output channels must be divisible by scale**2={scale**2}, got {weight.shape[0]}; "
            f"pass the weight of the convolution directly before PixelShuffle({scale})"
        )
    kernels = weight.new_empty(weight.shape[0] // scale**2, *weight.shape[1:])
    init(kernels)
    with torch.no_grad():
        return weight.copy_(kernels.repeat_interleave(scale**2, dim=0))


def he_(module: nn.Module, *, mode: Literal["fan_in", "fan_out"] = "fan_out", transposed: bool = False) -> None:
    """Initialize all convolutions of a module with He's normal distribution, and their biases with zeros.

    He et al., *Delving Deep into Rectifiers*, ICCV 2015, arXiv:1502.01852, eq. (10) and (14).

    Args:
        module: network or block; modified in place.
        mode: "fan_out" or "fan_in" in torch's convention, which swaps the two for transposed convolutions.
        transposed: initialize transposed convolutions, too.

    Examples:
        >>> layer = nn.Conv2d(64, 64, 3)
        >>> he_(layer)
        >>> round(layer.weight.std().item(), 2), layer.bias.abs().max().item()
        (0.06, 0.0)
    """
    kinds = (nn.Conv2d, nn.ConvTranspose2d) if transposed else nn.Conv2d
    for layer in module.modules():
        if isinstance(layer, kinds):
            nn.init.kaiming_normal_(layer.weight, mode=mode)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def bilinear_(weight: Tensor) -> Tensor:
    """Initialize a depthwise transposed convolution of even kernel size 2 * stride to bilinear interpolation.

    Args:
        weight: weight of the transposed convolution, shape (C, 1, 2 * stride, 2 * stride); modified in place.

    Returns:
        `weight`.

    Raises:
        ValueError: the kernel size is odd.

    Examples:
        >>> bilinear_(torch.empty(1, 1, 4, 4))[0, 0, 0]
        tensor([0.0625, 0.1875, 0.1875, 0.0625])
    """
    side = weight.shape[-1]
    if side % 2:
        raise ValueError(f"bilinear_: the kernel size must be even (twice the stride), got {side}")
    ramp = torch.arange(1, side, 2, dtype=weight.dtype) / side
    profile = torch.cat((ramp, ramp.flip(0)))
    with torch.no_grad():
        return weight.copy_(torch.outer(profile, profile).expand_as(weight))


class skip_random_init(TorchFunctionMode):
    """Context manager that leaves randomly initialized tensors of new modules uninitialized, which is much faster.

    For networks whose weights are all overwritten afterwards. Constants are still set.

    Examples:
        >>> with skip_random_init():
        ...     layer = nn.Conv2d(64, 64, 3)
        >>> layer.load_state_dict(nn.Conv2d(64, 64, 3).state_dict())
        <All keys matched successfully>
    """

    def __torch_function__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the tensor itself for random initializers; call all other functions."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _RANDOM_INIT:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
