"""MSRResNet: SRResNet without normalization, added to the bilinearly upscaled input."""

from functools import partial

import torch
from torch import nn

from ..blocks import ResidualBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PixelShuffleUp


class MSRResNet(PostUpsampling):
    """MSRResNet: modified SRResNet, the baseline of the ESRGAN authors.

    Wang et al., *ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks*, ECCVW 2018, arXiv:1809.00219,
    section 3.1 and the authors' code: residual blocks without normalization, no long skip, LeakyReLU.

    Args:
        scale: scale factor (authors: 2, 3, 4).
        image_channels: 3 = RGB, 1 = Y.
        width: feature channels.
        depth: residual blocks.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        1,369,859 / 1,554,499 / 1,517,571 parameters at x2 / x3 / x4, as many as EDSR-baseline.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 16,
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        leaky = partial(nn.LeakyReLU, 0.1)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width), leaky()),
            body=nn.Sequential(*(ResidualBlock(width) for _ in range(depth))),
            upsampler=PixelShuffleUp(width, scale, act=leaky),
            tail=nn.Sequential(conv(width, width), leaky(), conv(width, image_channels)),
            image_skip=InterpolateUp(image_channels, scale, mode="bilinear"),
            denormalize=denormalize,
        )
        he_(self, mode="fan_in")
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.weight *= 0.1


register(
    NetworkSpec(
        name="msrresnet",
        build=MSRResNet,
        paper="Wang et al., ECCVW 2018, arXiv:1809.00219",
        size_requirements={scale: SizeRequirements(radius=35) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    )
)
