"""Upsampling with sub-pixel convolutions."""

from torch import nn

from ..blocks.conv import conv
from ..blocks.factories import Activation, activation
from ..init import icnr_
from .scale import prime_factors


class PixelShuffleUp(nn.Sequential):
    """Sub-pixel convolution: a convolution to ``scale**2`` times the channels, followed by a pixel shuffle.

    Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network*, CVPR 2016, arXiv:1609.05158, section 3.2 (one step); one step per prime factor as in EDSR (Lim et al.,
    CVPRW 2017, arXiv:1707.02921, Fig. 3).

    Args:
        channels: input channels.
        scale: scale factor, an integer >= 2; without `stepwise` also 1, a convolution alone.
        out_channels: output channels; None for `channels`. The first step changes the width.
        kernel_size: side of the kernels, odd.
        stepwise: one step per prime factor of `scale` (x4 is x2 twice) instead of a single step.
        bias: add learned biases to the convolutions.
        groups: groups of the convolutions; must divide all channel counts.
        act: name or factory of an activation after each pixel shuffle; None for no activation.
        icnr: initialize as nearest-neighbor upsampling to avoid checkerboard artifacts (see `srblocks.init.icnr_`).

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not such an integer.

    Examples:
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
        act: Activation | None = None,
        icnr: bool = False,
    ) -> None:
        out = channels if out_channels is None else out_channels
        layers: list[nn.Module] = []
        steps = [1] if scale == 1 and not stepwise else prime_factors(scale)
        for factor in steps if stepwise else [scale]:
            subpixel = conv(channels, out * factor**2, kernel_size, bias=bias, groups=groups)
            if icnr:
                icnr_(subpixel.weight, factor)
                if subpixel.bias is not None:
                    nn.init.zeros_(subpixel.bias)
            layers += [subpixel, nn.PixelShuffle(factor)] if factor > 1 else [subpixel]
            if act is not None:
                layers.append(activation(act))
            channels = out
        super().__init__(*layers)
