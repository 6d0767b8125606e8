"""NinaSR: residual blocks with local channel attention."""

import math
from functools import partial

from torch import Tensor, nn

from ..blocks import DIV2K_MEAN, LocalChannelAttention, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


class LocalAttentionBlock(nn.Module):
    """Residual block of NinaSR: ``x + output_scale * conv(attention(relu(conv(input_scale * x))))``.

    Args:
        channels: feature channels C; twice as many between the convolutions.
        input_scale: multiplier of the input of the branch.
        output_scale: multiplier of its output.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.
    """

    def __init__(self, channels: int, *, input_scale: float, output_scale: float) -> None:
        super().__init__()
        self.conv1 = conv(channels, 2 * channels)
        self.act = nn.ReLU()
        self.attention = LocalChannelAttention(2 * channels)
        self.conv2 = conv(2 * channels, channels, bias=False)
        self.input_scale = input_scale
        self.output_scale = output_scale

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        y = self.conv2(self.attention(self.act(self.conv1(x * self.input_scale))))
        return x + y * self.output_scale


class NinaSR(PostUpsampling):
    """NinaSR: residual network with local channel attention, of the torchSR package.

    Published as code (2021), without a paper.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB (authors).
        width: feature channels (b0: 16, b1: 32, b2: 56).
        depth: blocks (b0: 10, b1: 26, b2: 84).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        100,172 / 102,347 / 105,392 / 126,272 parameters at x2 / x3 / x4 / x8. The attention is bound to a grid of 16
        pixels that starts at the corner of the image, so that tiles are approximate.

    Raises:
        ValueError: ``depth < 1``, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 16,
        depth: int = 10,
        mean_shift: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if depth < 1:
            raise ValueError(f"NinaSR: depth must be >= 1, got {depth}")
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        growth = 4 / depth
        blocks = [
            LocalAttentionBlock(width, input_scale=1 / math.sqrt(1 + i * growth**2), output_scale=2 * growth)
            for i in range(depth)
        ]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=conv(image_channels, width, bias=False),
            body=nn.Sequential(*blocks),
            long_skip=True,
            upsampler=PixelShuffleUp(width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


_PAPER = "torchSR, 2021 (code)"
_SIZES = {scale: SizeRequirements(radius=None) for scale in (2, 3, 4, 8)}
_REDUCED = {"depth": 2}

register(
    NetworkSpec(name="ninasr_b0", build=NinaSR, paper=_PAPER, size_requirements=_SIZES, reduced=_REDUCED),
    NetworkSpec(
        name="ninasr_b1",
        build=partial(NinaSR, width=32, depth=26),
        paper=_PAPER,
        size_requirements=_SIZES,
        reduced=_REDUCED,
    ),
    NetworkSpec(
        name="ninasr_b2",
        build=partial(NinaSR, width=56, depth=84),
        paper=_PAPER,
        size_requirements=_SIZES,
        reduced=_REDUCED,
    ),
)
