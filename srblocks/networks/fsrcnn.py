"""FSRCNN: a thin network at low resolution and one transposed convolution at the end."""

from functools import partial
from typing import Literal

from torch import nn

from ..blocks import conv, normalization
from ..frameworks import PostUpsampling
from ..init import he_
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DeconvUp, InterpolateUp


class FSRCNN(PostUpsampling):
    """FSRCNN: feature extraction, shrinking, mapping, expanding, deconvolution.

    Dong et al., *Accelerating the Super-Resolution Convolutional Neural Network*, ECCV 2016, arXiv:1608.00367, Fig. 2
    and section 3.2, FSRCNN(d, s, m). Differs from the paper's Caffe layers: the output is exactly `scale` times as
    large as the input; the original output is ``scale - 1`` pixels smaller.

    Args:
        scale: scale factor.
        image_channels: 1 = Y (paper), 3 = RGB.
        width: channels d of the feature extraction.
        shrunk_width: channels s of the mapping.
        depth: number m of mapping convolutions.
        upsampling: "deconv" (paper), or "bilinear" followed by a convolution (a Keras collection).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        12,809 parameters for FSRCNN(56, 12, 4) on Y, 4,086 for FSRCNN-s(32, 5, 1), at every scale.

    Raises:
        ValueError: unknown `upsampling`.
    """

    def __init__(
        self,
        *,
        scale: int = 2,
        image_channels: int = 1,
        width: int = 56,
        shrunk_width: int = 12,
        depth: int = 4,
        upsampling: Literal["deconv", "bilinear"] = "deconv",
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        body: list[nn.Module] = [conv(width, shrunk_width, 1), nn.PReLU(shrunk_width)]
        for _ in range(depth):
            body += [conv(shrunk_width, shrunk_width), nn.PReLU(shrunk_width)]
        body += [conv(shrunk_width, width, 1), nn.PReLU(width)]
        upsampler: nn.Module = InterpolateUp(width, scale, mode="bilinear")
        tail: nn.Module = conv(width, image_channels, 9)
        if upsampling == "deconv":
            upsampler = DeconvUp(width, scale, out_channels=image_channels, kernel_size=9, padding=4)
            tail = nn.Identity()
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Sequential(conv(image_channels, width, 5), nn.PReLU(width)),
            body=nn.Sequential(*body),
            upsampler=upsampler,
            tail=tail,
            denormalize=denormalize,
        )
        he_(self)
        last = tail if upsampling == "bilinear" else upsampler.get_submodule("deconv")
        nn.init.normal_(last.get_parameter("weight"), std=0.001)
        nn.init.zeros_(last.get_parameter("bias"))


_PAPER = "Dong et al., ECCV 2016, arXiv:1608.00367"

register(
    NetworkSpec(
        name="fsrcnn",
        build=FSRCNN,
        paper=_PAPER,
        size_requirements={2: SizeRequirements(radius=8), 3: SizeRequirements(radius=8), 4: SizeRequirements(radius=7)},
    ),
    NetworkSpec(
        name="fsrcnn_s",
        build=partial(FSRCNN, width=32, shrunk_width=5, depth=1),
        paper=_PAPER,
        size_requirements={2: SizeRequirements(radius=5), 3: SizeRequirements(radius=5), 4: SizeRequirements(radius=4)},
    ),
)
