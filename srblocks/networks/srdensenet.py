"""SRDenseNet: dense blocks on the small image, themselves densely connected, and transposed convolutions."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import DenseBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DeconvUp
from ..upsampling.scale import prime_factors


class _LowAndHigh(nn.Module):
    """The input beside what a chain of blocks makes of it."""

    def __init__(self, chain: nn.Module) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.chain(x)), 1)


class SRDenseNet(PostUpsampling):
    """Dense skip connections, in three forms: high-level features, low and high, or all of them.

    Tong et al., *Image Super-Resolution Using Dense Skip Connections*, ICCV 2017, Fig. 3. The authors released no
    code; the defaults are those of a widely used port, and the arguments reach the others.

    Args:
        scale: enlargement per side, a power of 2 (paper: 4).
        image_channels: 1 = Y (paper), 3 = RGB.
        width: channels of the low-level features.
        growth: channels that each dense layer adds.
        depth: layers in each dense block.
        blocks: dense blocks.
        skips: "all" (each block sees all earlier ones; a 1x1 convolution fuses them), "hl" (low-level features beside
            the last block's) or "h" (the last block's alone).
        dense_input: every layer of a block sees the block's input; otherwise only the first.
        upsampler_width: channels of the fusion and of the transposed convolutions.
        deconv_kernel: side of the transposed kernels, 2, 3 or 4.
        bias: bias behind the dense blocks (one port has none).
        value_range: the value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        2,659,585 / 1,848,321 / 1,553,409 parameters on Y at x4 for all / hl / h.

    Raises:
        ValueError: unknown `skips`, another kernel, no layers, or a scale that is no power of 2.
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
        skips: str = "all",
        dense_input: bool = False,
        upsampler_width: int = 256,
        deconv_kernel: int = 3,
        bias: bool = True,
        value_range: float = 1.0,
    ) -> None:
        if skips not in ("all", "hl", "h"):
            raise ValueError(f"SRDenseNet: skips={skips!r} is unknown; use 'all', 'hl' or 'h'")
        if deconv_kernel not in (2, 3, 4):
            raise ValueError(f"SRDenseNet: deconv_kernel={deconv_kernel} is unknown; use 2, 3 or 4")
        if depth < 1:
            raise ValueError(f"SRDenseNet: depth={depth}; use 1 layer or more")
        steps = prime_factors(scale)
        if set(steps) != {2}:
            raise ValueError(f"SRDenseNet: scale={scale} is no power of 2; use 2, 4 or 8")
        normalize, denormalize = normalization(image_channels, value_range)
        given = depth * growth

        def block(in_channels: int, out_channels: int) -> nn.Module:
            return DenseBlock(
                in_channels, growth=out_channels // depth, depth=depth, dense_input=dense_input, keep_input=False
            )

        if skips == "all":
            body: nn.Module = nn.Sequential(
                DenseBlock(width, growth=given, depth=blocks, layer=block),
                conv(width + blocks * given, upsampler_width, 1, bias=bias),
                nn.ReLU(),
            )
            channels = upsampler_width
        else:
            chain = nn.Sequential(*(block(given if i else width, given) for i in range(blocks)))
            body = _LowAndHigh(chain) if skips == "hl" else chain
            channels = given + width if skips == "hl" else given
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
            framework="post",
            size_requirements={4: SizeRequirements(radius=66)},
            reduced={"blocks": 2, "depth": 3},
        )
        for name, skips in (("srdensenet", "all"), ("srdensenet_hl", "hl"), ("srdensenet_h", "h"))
    )
)
