"""Upsampling with nearest-neighbor interpolation and convolutions."""

from torch import nn

from ..blocks.conv import conv
from ..blocks.factories import Activation, activation
from .interpolation import InterpolateUp
from .scale import prime_factors


class NearestConvUp(nn.Sequential):
    """Resize convolution: nearest-neighbor upsampling followed by a convolution, one step per prime factor.

    Odena et al., *Deconvolution and Checkerboard Artifacts*, Distill 2016; the upsampler of ESRGAN's code.

    Args:
        channels: input channels.
        scale: scale factor, an integer >= 2.
        out_channels: output channels; None for `channels`. The first step changes the width.
        kernel_size: side of the kernels, odd.
        act: name or factory of an activation after each convolution; None for no activation.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not an integer >= 2.

    Examples:
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
        act: Activation | None = None,
    ) -> None:
        out = channels if out_channels is None else out_channels
        layers: list[nn.Module] = []
        for factor in prime_factors(scale):
            layers += [InterpolateUp(channels, factor, mode="nearest"), conv(channels, out, kernel_size)]
            if act is not None:
                layers.append(activation(act))
            channels = out
        super().__init__(*layers)
