"""Upsampling before the network: interpolation of the image itself."""

import math
from collections.abc import Callable

import torch
from einops import einsum, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks.conv import conv
from ..resize import MATLAB_A, cubic


def _taps(up: int, down: int, a: float) -> tuple[Tensor, int]:
    """Weights (up, taps) in float64 of `up` output pixels over a block of `down` input pixels, and the first tap."""
    shrink = min(1.0, up / down)
    centers = [(phase + 0.5) * down / up - 0.5 for phase in range(up)]
    first = min(math.floor(center - 2 / shrink) + 1 for center in centers)
    last = max(math.ceil(center + 2 / shrink) - 1 for center in centers)
    rows = [[float(cubic(shrink * (tap - center), a)) for tap in range(first, last + 1)] for center in centers]
    weights = torch.tensor(rows, dtype=torch.float64, device="cpu")
    return weights / weights.sum(1, keepdim=True), first


def _check_border(border: str) -> None:
    if border not in ("symmetric", "replicate"):
        raise ValueError(f"border={border!r} is unknown; use 'symmetric' or 'replicate'")


class BicubicResize(nn.Module):
    """Bicubic resizing by ``up / down`` as one fixed depthwise convolution and a pixel shuffle.

    The kernel is that of Keys, *Cubic Convolution Interpolation for Digital Image Processing*, IEEE TASSP 1981. With
    the defaults it is MATLAB's ``imresize(..., 'bicubic')`` in floating point, antialiasing when it shrinks included;
    with ``a=-0.75, border="replicate"`` it is ``torch.nn.functional.interpolate(mode="bicubic")``. Unlike those it
    scripts and exports to every format.

    Args:
        channels: image or feature channels C.
        up: numerator of the factor.
        down: denominator of the factor; H and W must be multiples of it.
        a: Keys' parameter of the kernel.
        border: "symmetric" mirrors the two outermost pixels (MATLAB), "replicate" repeats the outermost one.

    Shape:
        ``(N, C, H, W) -> (N, C, H * up / down, W * up / down)``, H, W >= `min_size`.

    Raises:
        ValueError: unknown border, no channel, or a factor whose kernel does not reach just two pixels over the border.

    Example:
        >>> BicubicResize(1, 3, 4)(torch.rand(1, 1, 8, 12)).shape
        torch.Size([1, 1, 6, 9])
    """

    def __init__(
        self, channels: int, up: int, down: int = 1, *, a: float = MATLAB_A, border: str = "symmetric"
    ) -> None:
        super().__init__()
        _check_border(border)
        if channels < 1:
            raise ValueError(f"BicubicResize: channels={channels}; use 1 or more")
        if up < 1 or down < 1:
            raise ValueError(f"BicubicResize: the factor {up}/{down} is not positive; use integers of 1 or more")
        weights, first = _taps(up, down, a)
        if first != -2 or first + weights.shape[1] != down + 2:
            raise ValueError(f"BicubicResize: the factor {up}/{down} is not supported; use an integer above 1, or 3/4")
        self.channels = channels
        self.up = up
        self.down = down
        self.a = a
        self.border = border
        self.min_size = 2 if border == "symmetric" else 1
        self.register_buffer("kernel", self._exact_kernel().to(torch.empty(())), persistent=False)

    def _exact_kernel(self) -> Tensor:
        weights, _ = _taps(self.up, self.down, self.a)
        phases = einsum(weights, weights, "p h, q w -> p q h w")
        return repeat(phases, "p q h w -> (c p q) 1 h w", c=self.channels)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; the kernel comes from float64 each time, so that no earlier cast costs precision."""
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
        """Show channels, factor and border."""
        return f"channels={self.channels}, up={self.up}, down={self.down}, border={self.border!r}"


class InterpolateUp(nn.Module):
    """Upsample by interpolation, without learned weights as long as the channels stay.

    Args:
        channels: image or feature channels C.
        scale: enlargement per side; 1 is the identity.
        out_channels: channels of the output; others than C come from a 1x1 convolution before the interpolation,
            which is the same as behind it and cheaper. None keeps C.
        act: factory of an activation behind it; None for none.
        mode: "bicubic" (MATLAB's with the defaults, see `BicubicResize`), "bilinear" (half-pixel centers) or "nearest".
        a: Keys' parameter of the bicubic kernel.
        border: border of the bicubic mode, "symmetric" or "replicate".

    Shape:
        ``(N, C, H, W) -> (N, out_channels, scale * H, scale * W)``, H, W >= `min_size` (2 for bicubic with a symmetric
        border).

    Raises:
        ValueError: unknown mode or border, or `scale` is no integer of 1 or more.

    Example:
        >>> InterpolateUp(3, 2)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        act: Callable[[], nn.Module] | None = None,
        mode: str = "bicubic",
        a: float = MATLAB_A,
        border: str = "symmetric",
    ) -> None:
        super().__init__()
        if mode not in ("bicubic", "bilinear", "nearest"):
            raise ValueError(f"InterpolateUp: mode={mode!r} is unknown; use 'bicubic', 'bilinear' or 'nearest'")
        _check_border(border)
        if type(scale) is not int or scale < 1:
            raise ValueError(f"InterpolateUp: scale={scale} is no enlargement; use an integer of 1 or more")
        self.scale = scale
        self.mode = mode
        self.min_size = 1
        out = channels if out_channels is None else out_channels
        self.project = nn.Identity() if out == channels else conv(channels, out, 1)
        self.act = act() if act else nn.Identity()
        if mode == "bicubic" and scale > 1:
            self.bicubic: nn.Module = BicubicResize(out, scale, a=a, border=border)
            self.min_size = 2 if border == "symmetric" else 1
        else:
            self.bicubic = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge ``x``."""
        x = self.project(x)
        if self.scale == 1 or self.mode == "bicubic":
            return self.act(self.bicubic(x))
        return self.act(F.interpolate(x, size=[x.shape[2] * self.scale, x.shape[3] * self.scale], mode=self.mode))

    def extra_repr(self) -> str:
        """Show scale and mode."""
        return f"scale={self.scale}, mode={self.mode!r}"
