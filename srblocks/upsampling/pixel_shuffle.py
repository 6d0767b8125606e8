"""Upsampling after the body: learned layers from low to high resolution, with one signature."""

from collections.abc import Callable

from torch import Tensor, nn

from ..blocks.conv import conv
from ..init import icnr_
from .interpolation import InterpolateUp


def check_scale(scale: int) -> None:
    """Refuse what is no enlargement by a whole number.

    Raises:
        ValueError: `scale` is no integer of 2 or more.
    """
    if type(scale) is not int or scale < 2:
        raise ValueError(f"scale={scale} is no enlargement; use an integer of 2 or more")


def prime_factors(scale: int) -> list[int]:
    """Steps of an upsampling by `scale`, smallest first: 8 is [2, 2, 2], 6 is [2, 3].

    Raises:
        ValueError: `scale` is no integer of 2 or more.
    """
    check_scale(scale)
    factors: list[int] = []
    divisor = 2
    while scale > 1:
        while scale % divisor == 0:
            factors.append(divisor)
            scale //= divisor
        divisor += 1
    return factors


class PixelShuffleUp(nn.Sequential):
    """Sub-pixel convolution: a convolution to ``scale**2`` times the channels, then a pixel shuffle.

    Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network*, CVPR 2016, arXiv:1609.05158, section 3.2 (one step); in steps of the prime factors as in EDSR
    (Lim et al., CVPRW 2017, arXiv:1707.02921, Fig. 3).

    Args:
        channels: feature channels of the input.
        scale: enlargement per side, 2 or more.
        out_channels: channels of the output; None keeps `channels`. The first step changes the width.
        kernel_size: side of the kernels, odd.
        stepwise: one step per prime factor of `scale` (x4 is twice x2) instead of a single step.
        bias: the convolutions have a bias.
        groups: groups of the convolutions; divides all channel counts.
        act: factory of an activation after each shuffle; None for none.
        icnr: start as nearest-neighbor upsampling (see `srblocks.icnr_`), free of checkerboards.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale < 2``.

    Example:
        >>> PixelShuffleUp(64, 4)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 64, 20, 28])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        kernel_size: int = 3,
        stepwise: bool = True,
        bias: bool = True,
        groups: int = 1,
        act: Callable[[], nn.Module] | None = None,
        icnr: bool = False,
    ) -> None:
        out = channels if out_channels is None else out_channels
        layers: list[nn.Module] = []
        steps = prime_factors(scale)
        for factor in steps if stepwise else [scale]:
            wide = conv(channels, out * factor**2, kernel_size, bias=bias, groups=groups)
            if icnr:
                icnr_(wide.weight, factor)
                if wide.bias is not None:
                    nn.init.zeros_(wide.bias)
            layers += [wide, nn.PixelShuffle(factor)]
            if act:
                layers.append(act())
            channels = out
        super().__init__(*layers)


class NearestConvUp(nn.Sequential):
    """Nearest-neighbor enlargement followed by a convolution, in steps of the prime factors of the scale.

    Odena et al., *Deconvolution and Checkerboard Artifacts*, Distill 2016; the upsampler of ESRGAN's code.

    Args:
        channels: feature channels of the input.
        scale: enlargement per side, 2 or more.
        out_channels: channels of the output; None keeps `channels`. The first step changes the width.
        kernel_size: side of the kernels, odd.
        act: factory of an activation after each convolution; None for none.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale < 2``.

    Example:
        >>> NearestConvUp(64, 4, out_channels=32)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 32, 20, 28])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        kernel_size: int = 3,
        act: Callable[[], nn.Module] | None = None,
    ) -> None:
        out = channels if out_channels is None else out_channels
        layers: list[nn.Module] = []
        for factor in prime_factors(scale):
            layers += [InterpolateUp(channels, factor, mode="nearest"), conv(channels, out, kernel_size)]
            if act:
                layers.append(act())
            channels = out
        super().__init__(*layers)


class DeconvUp(nn.Module):
    """Transposed convolution whose output is exactly `scale` times its input.

    What kernel and padding leave over is cropped at the bottom and right, as MatConvNet does in LapSRN's layers; what
    they leave short is added there by ``output_padding``, as in FSRCNN (Dong et al., ECCV 2016, arXiv:1608.00367).

    Args:
        channels: channels of the input.
        scale: enlargement per side, which is the stride; 2 or more.
        out_channels: channels of the output; None keeps `channels`.
        kernel_size: side of the kernel; None for ``2 * scale``.
        padding: rows and columns dropped at every side; None centers the kernel.
        bias: add a learned bias.
        groups: groups of the convolution; ``channels`` makes it depthwise.
        act: factory of an activation behind it; None for none.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale < 2``, or a kernel too small for this stride and padding.

    Example:
        >>> DeconvUp(64, 2, kernel_size=3, padding=0)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 64, 10, 14])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        kernel_size: int | None = None,
        padding: int | None = None,
        bias: bool = True,
        groups: int = 1,
        act: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_scale(scale)
        kernel = 2 * scale if kernel_size is None else kernel_size
        pad = max(0, kernel - scale + 1) // 2 if padding is None else padding
        short = scale - kernel + 2 * pad
        if kernel < scale or pad < 0 or short >= scale:
            raise ValueError(
                f"DeconvUp: kernel_size={kernel} with padding={pad} does not cover scale={scale}; "
                f"use kernel_size >= {max(scale, 2 * pad + 1)} and padding >= 0"
            )
        self.excess = max(0, -short)
        self.deconv = nn.ConvTranspose2d(
            channels,
            channels if out_channels is None else out_channels,
            kernel,
            stride=scale,
            padding=pad,
            output_padding=max(0, short),
            bias=bias,
            groups=groups,
        )
        self.act = act() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge the features ``x``."""
        x = self.deconv(x)
        if self.excess > 0:
            x = x[:, :, : -self.excess, : -self.excess]
        return self.act(x)
