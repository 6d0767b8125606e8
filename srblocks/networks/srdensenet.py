"""SRDenseNet: densely connected dense blocks at low resolution, and transposed convolutions."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..blocks import DenseBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DeconvUp
from ..upsampling.scale import prime_factors

Skips = Literal["all", "hl", "h"]

_VARIANTS: dict[str, Skips] = {"srdensenet": "all", "srdensenet_hl": "hl", "srdensenet_h": "h"}


class _LowAndHigh(nn.Module):
    """Concatenate the input and the output of a chain of blocks."""

    def __init__(self, chain: nn.Module) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.chain(x)), 1)


class SRDenseNet(PostUpsampling):
    """SRDenseNet: dense skip connections with high-level, low- and high-level, or all features.

    Tong et al., *Image Super-Resolution Using Dense Skip Connections*, ICCV 2017, Fig. 3. The authors released no
    code; the defaults follow a widely used port, and the arguments cover other ports.

    Args:
        scale: scale factor, a power of 2 (paper: 4).
        image_channels: 1 = Y (paper), 3 = RGB.
        width: channels of the low-level features.
        growth: channels that each dense layer adds.
        depth: number of layers in each dense block.
        blocks: number of dense blocks.
        skips: "all" (each block receives all earlier outputs; a 1x1 convolution fuses them), "hl" (low-level features
            and those of the last block) or "h" (those of the last block).
        dense_input: every layer of a block receives the block's input; otherwise only the first.
        upsampler_width: channels of the fusion and of the transposed convolutions.
        deconv_kernel: side of the transposed kernels, 2, 3 or 4.
        bias: add learned biases to the convolutions after the dense blocks (one port does not).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        2,659,585 / 1,848,321 / 1,553,409 parameters on Y at x4 for all / hl / h.

    Raises:
        ValueError: unknown `skips` or `deconv_kernel`, ``depth < 1``, or a scale that is not a power of 2.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 1,
        width: int = 128,
        growth: int = 16,
        depth: int = 8,
        blocks: int = 8,
        skips: Skips = "all",
        dense_input: bool = False,
        upsampler_width: int = 256,
        deconv_kernel: int = 3,
        bias: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if deconv_kernel not in (2, 3, 4):
            raise ValueError(f"SRDenseNet: deconv_kernel must be 2, 3 or 4, got {deconv_kernel}")
        if depth < 1:
            raise ValueError(f"SRDenseNet: depth must be >= 1, got {depth}")
        steps = prime_factors(scale)
        if set(steps) != {2}:
            raise ValueError(f"SRDenseNet: scale must be a power of 2 (2, 4, 8, ...), got {scale}")
        normalize, denormalize = normalization(image_channels, value_range)
        grown = depth * growth

        def block(in_channels: int, out_channels: int) -> nn.Module:
            return DenseBlock(
                in_channels, growth=out_channels // depth, depth=depth, dense_input=dense_input, keep_input=False
            )

        if skips == "all":
            body: nn.Module = nn.Sequential(
                DenseBlock(width, growth=grown, depth=blocks, layer=block),
                conv(width + blocks * grown, upsampler_width, 1, bias=bias),
                nn.ReLU(),
            )
            channels = upsampler_width
        else:
            chain = nn.Sequential(*(block(grown if i else width, grown) for i in range(blocks)))
            body = _LowAndHigh(chain) if skips == "hl" else chain
            channels = grown + width if skips == "hl" else grown
        up = partial(DeconvUp, scale=2, out_channels=upsampler_width, kernel_size=deconv_kernel, bias=bias, act=nn.ReLU)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width), nn.ReLU()),
            body=body,
            upsampler=nn.Sequential(up(channels), *(up(upsampler_width) for _ in steps[1:])),
            tail=conv(upsampler_width, image_channels, bias=bias),
            denormalize=denormalize,
        )
        he_(self, mode="fan_in", transposed=True)


register(
    *(
        NetworkSpec(
            name=name,
            build=partial(SRDenseNet, skips=skips),
            paper="Tong et al., ICCV 2017",
            size_requirements={4: SizeRequirements(radius=66)},
            reduced={"blocks": 2, "depth": 3},
        )
        for name, skips in _VARIANTS.items()
    )
)
