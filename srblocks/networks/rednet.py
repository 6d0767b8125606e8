"""RED-Net: convolutional encoder, transposed-convolutional decoder, and symmetric skip connections."""

import math
from functools import partial
from typing import Literal

from torch import Tensor, nn

from ..blocks import normalization
from ..frameworks import PreUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)


def _deconv(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=stride, padding=1, output_padding=stride - 1)


class _EncoderDecoder(nn.Module):
    """All layers between the first and the last, with a skip between every second pair of mirrored layers."""

    def __init__(self, width: int, strides: list[int], *, skips: bool, act_before_skip: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(width, width, stride) for stride in strides)
        self.deconvs = nn.ModuleList(_deconv(width, width, stride) for stride in reversed(strides))
        self.act = nn.ReLU()
        self.skips = skips
        self.act_before_skip = act_before_skip

    def forward(self, x: Tensor) -> Tensor:
        encoded: list[Tensor] = []
        for layer in self.convs:
            x = self.act(layer(x))
            encoded.append(x)
        last = len(encoded) - 1
        for i, layer in enumerate(self.deconvs):
            x = layer(x)
            mirrored = last - 1 - i
            if self.skips and mirrored >= 0 and mirrored % 2 == 0:
                x = (self.act(x) if self.act_before_skip else x) + encoded[mirrored]
            x = self.act(x)
        return x


class REDNet(PreUpsampling):
    """RED-Net: residual encoder-decoder network with symmetric skip connections.

    Mao, Shen and Yang, *Image Restoration Using Very Deep Convolutional Encoder-Decoder Networks with Symmetric Skip
    Connections*, NIPS 2016, arXiv:1603.09056, Fig. 1 and section 3: the outputs of every second convolution are added
    to those of the mirrored transposed convolutions.

    Args:
        scale: scale factor; 1 for an input that is interpolated already.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: feature channels (RED30: 128).
        depth: number of layers, half of them transposed (paper: 10, 20 or 30).
        skips: use inner skips (RED20 and RED30, not RED10).
        strides: "none" (paper), "ends" (the first and the last layer have stride 2, as in a widely used port) or
            "pairs" (every second layer has stride 2, as in a Keras collection; `depth` is 4 d + 2 for d pairs).
        act_before_skip: ReLU before each inner sum, too (that port).
        out_act: ReLU after the last sum (that port).
        interpolation: "bicubic" (MATLAB's), "bilinear" or "nearest".
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2. With
        strides, H and W must be multiples of `size_multiple`.
        RED30 at width 128 has 4,134,785 parameters on Y.

    Raises:
        ValueError: `depth` is odd or below 4, unknown `strides`, or a depth that is not 4 d + 2 with "pairs".
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 128,
        depth: int = 30,
        skips: bool = True,
        strides: Literal["none", "ends", "pairs"] = "none",
        act_before_skip: bool = False,
        out_act: bool = False,
        interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic",
        value_range: float = 1.0,
    ) -> None:
        if depth < 4 or depth % 2:
            raise ValueError(f"REDNet: depth must be even and >= 4 (half of the layers are transposed), got {depth}")
        inner = depth // 2 - 1
        if strides == "pairs" and inner % 2:
            raise ValueError(f"REDNet: depth must be 4 d + 2 (such as 26) with strides='pairs', got {depth}")
        reduction = {"none": 1, "ends": 2, "pairs": 2 ** (inner // 2)}[strides]
        end = 2 if strides == "ends" else 1
        normalize, denormalize = normalization(image_channels, value_range)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            size_multiple=reduction // math.gcd(reduction, scale),
            normalize=normalize,
            upsampler=InterpolateUp(image_channels, scale, mode=interpolation),
            head=nn.Sequential(_conv(image_channels, width, end), nn.ReLU()),
            body=_EncoderDecoder(
                width,
                [1, 2] * (inner // 2) if strides == "pairs" else [1] * inner,
                skips=skips,
                act_before_skip=act_before_skip,
            ),
            tail=_deconv(width, image_channels, end),
            image_skip=True,
            denormalize=nn.Sequential(nn.ReLU(), denormalize) if out_act else denormalize,
        )
        he_(self, mode="fan_in", transposed=True)


_PAPER = "Mao et al., NIPS 2016, arXiv:1603.09056"

register(
    *(
        NetworkSpec(
            name=f"rednet{depth}",
            build=partial(REDNet, depth=depth, skips=depth > 10),
            paper=_PAPER,
            size_requirements={scale: SizeRequirements(radius=radius, min_size=2) for scale, radius in radii.items()},
            reduced={"depth": depth // 3 // 2 * 2 + 2},
        )
        for depth, radii in {10: {2: 7, 3: 5, 4: 4}, 20: {2: 12, 3: 8, 4: 7}, 30: {2: 17, 3: 12, 4: 9}}.items()
    )
)
