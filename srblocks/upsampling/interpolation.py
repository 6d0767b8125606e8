"""Upsampling with interpolation, without learned weights."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.compact_repr import CompactRepr
from ..blocks.conv import conv
from ..blocks.factories import Activation, activation
from ..resize import MATLAB_A, cubic


def _taps(up: int, down: int, a: float) -> tuple[Tensor, int]:
    """Return the float64 weights (up, taps) of `up` output pixels per `down` input pixels, and the first tap."""
    shrink = min(1.0, up / down)
    centers = [(phase + 0.5) * down / up - 0.5 for phase in range(up)]
    first = min(math.floor(center - 2 / shrink) + 1 for center in centers)
    last = max(math.ceil(center + 2 / shrink) - 1 for center in centers)
    rows = [[float(cubic(shrink * (tap - center), a)) for tap in range(first, last + 1)] for center in centers]
    weights = torch.tensor(rows, dtype=torch.float64, device="cpu")
    return weights / weights.sum(1, keepdim=True), first


def _check_border(border: str) -> None:
    if border not in ("symmetric", "replicate"):
        raise ValueError(f"border must be 'symmetric' or 'replicate', got {border!r}")


class BicubicResize(nn.Module):
    """Bicubic resizing by ``up / down`` as one fixed depthwise convolution and a pixel shuffle.

    Uses the kernel of Keys, *Cubic Convolution Interpolation for Digital Image Processing*, IEEE TASSP 1981. The
    defaults match MATLAB's ``imresize(..., 'bicubic')`` in floating point, including its antialiasing when downscaling;
    ``a=-0.75, border="replicate"`` matches ``torch.nn.functional.interpolate(mode="bicubic")``. Unlike both, it can be
    scripted and exported to every format.

    Args:
        channels: image or feature channels C.
        up: numerator of the scale factor.
        down: denominator of the scale factor; H and W must be multiples of it.
        a: parameter of Keys' kernel.
        border: "symmetric" mirrors the two outermost pixels (MATLAB), "replicate" repeats the outermost one.

    Shape:
        ``(N, C, H, W) -> (N, C, H * up / down, W * up / down)``, H, W >= `min_size`.

    Raises:
        ValueError: unknown border, ``channels < 1``, or an unsupported scale factor: supported are integers above 1
            and 3/4, whose kernel reaches exactly two pixels over the border.

    Examples:
        >>> BicubicResize(1, 3, 4)(torch.rand(1, 1, 8, 12)).shape
        torch.Size([1, 1, 6, 9])
    """

    def __init__(
        self, channels: int, up: int, down: int = 1, *, a: float = MATLAB_A, border: str = "symmetric"
    ) -> None:
        super().__init__()
        _check_border(border)
        if channels < 1:
            raise ValueError(f"BicubicResize: channels must be >= 1, got {channels}")
        if up < 1 or down < 1:
            raise ValueError(f"BicubicResize: up and down must be integers >= 1, got {up} and {down}")
        weights, first = _taps(up, down, a)
        if first != -2 or first + weights.shape[1] != down + 2:
            raise ValueError(f"BicubicResize: up/down must be an integer above 1, or 3/4, got {up}/{down}")
        self.channels = channels
        self.up = up
        self.down = down
        self.a = a
        self.border = border
        self.min_size = 2 if border == "symmetric" else 1
        self.register_buffer("kernel", self._exact_kernel().to(torch.empty(())), persistent=False)

    def _exact_kernel(self) -> Tensor:
        weights, _ = _taps(self.up, self.down, self.a)
        phases = torch.einsum("ph,qw->pqhw", weights, weights)
        return phases.flatten(0, 1).unsqueeze(1).repeat(self.channels, 1, 1, 1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; the kernel is rounded from float64 each time, so earlier casts lose no precision."""
        super()._apply(fn, recurse)
        self.kernel = self._exact_kernel().to(self.kernel)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Resize the image ``x``."""
        if self.border == "replicate":
            x = F.pad(x, [2, 2, 2, 2], mode="replicate")
        else:
            x = torch.cat((x[:, :, 1:2], x[:, :, :1], x, x[:, :, -1:], x[:, :, -2:-1]), 2)
            x = torch.cat((x[..., 1:2], x[..., :1], x, x[..., -1:], x[..., -2:-1]), 3)
        x = F.conv2d(x, self.kernel, stride=self.down, groups=self.channels)
        return F.pixel_shuffle(x, self.up)

    def extra_repr(self) -> str:
        """Return the channels, the scale factor, the kernel parameter and the border."""
        return f"channels={self.channels}, up={self.up}, down={self.down}, a={self.a:g}, border={self.border!r}"


class InterpolateUp(CompactRepr):
    """Interpolation: bicubic, bilinear or nearest, without learned weights unless the number of channels changes.

    Args:
        channels: image or feature channels C.
        scale: scale factor, an integer >= 1; 1 is the identity.
        out_channels: output channels; if they differ from C, a 1x1 convolution comes first (cheaper than after the
            interpolation, with the same result). None for C.
        act: name or factory of an activation at the end; None for no activation.
        mode: "bicubic" (MATLAB's with the defaults, see `BicubicResize`), "bilinear" (half-pixel centers) or "nearest".
        a: parameter of the bicubic kernel.
        border: border of the bicubic mode, "symmetric" or "replicate".

    Shape:
        ``(N, C, H, W) -> (N, out_channels, scale * H, scale * W)``, H, W >= `min_size` (2 for bicubic with a symmetric
        border).

    Raises:
        ValueError: unknown mode or border, or `scale` is not an integer >= 1.

    Examples:
        >>> InterpolateUp(3, 2)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Activation | None = None,
        mode: str = "bicubic",
        a: float = MATLAB_A,
        border: str = "symmetric",
    ) -> None:
        super().__init__()
        if mode not in ("bicubic", "bilinear", "nearest"):
            raise ValueError(f"InterpolateUp: mode must be 'bicubic', 'bilinear' or 'nearest', got {mode!r}")
        _check_border(border)
        if type(scale) is not int or scale < 1:
            raise ValueError(f"InterpolateUp: scale must be an integer >= 1, got {scale!r}")
        self.scale = scale
        self.mode = mode
        self.min_size = 1
        out = channels if out_channels is None else out_channels
        self.project = nn.Identity() if out == channels else conv(channels, out, 1)
        self.act = activation(act)
        if mode == "bicubic" and scale > 1:
            self.bicubic: nn.Module = BicubicResize(out, scale, a=a, border=border)
            self.min_size = 2 if border == "symmetric" else 1
        else:
            self.bicubic = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Upscale ``x``."""
        x = self.project(x)
        if self.scale == 1 or self.mode == "bicubic":
            return self.act(self.bicubic(x))
        return self.act(F.interpolate(x, size=[x.shape[2] * self.scale, x.shape[3] * self.scale], mode=self.mode))

    def extra_repr(self) -> str:
        """Return the scale factor and the mode."""
        return f"scale={self.scale}, mode={self.mode!r}"
