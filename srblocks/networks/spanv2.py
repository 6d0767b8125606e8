"""SPANV2, PDS and SPANF: SPAN whose first block sees the image and whose last layer also sees its pixels."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import SPAB, ConvGate, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp


def pixel_copies(image_channels: int, scale: int) -> nn.Conv2d:
    """Return a convolution to ``scale**2`` copies of each channel, initialized to copy the pixels; then it is trained.

    With a pixel shuffle after it, it is nearest-neighbor upsampling before training.
    """
    copies = conv(image_channels, image_channels * scale**2, bias=False, groups=image_channels)
    nn.init.zeros_(copies.weight)
    with torch.no_grad():
        copies.weight[:, :, 1, 1] = 1
    return copies


class ImageTrunk(nn.Module):
    """Blocks on an image whose output is fused with a learned copy of its pixels.

    Args:
        copies: image to copies of its pixels.
        first: image to features.
        blocks: features to features.
        fuse: module that maps the concatenated copies, features, and first features to features.
        keep_first: concatenate the output of `first`, too.

    Shape:
        ``(N, image_channels, H, W)`` to the output of `fuse`, any H, W >= 1.
    """

    def __init__(
        self, *, copies: nn.Module, first: nn.Module, blocks: nn.Module, fuse: nn.Module, keep_first: bool
    ) -> None:
        super().__init__()
        self.copies = copies
        self.first = first
        self.blocks = blocks
        self.fuse = fuse
        self.keep_first = keep_first

    def forward(self, image: Tensor) -> Tensor:
        """Compute the features of the image."""
        first = self.first(image)
        features = [self.copies(image), self.blocks(first)]
        if self.keep_first:
            features.append(first)
        return self.fuse(torch.cat(features, 1))


class SPANV2(PostUpsampling):
    """SPANV2: winner of the NTIRE 2026 challenge on efficient super-resolution in runtime.

    Described in the report of the challenge; no paper of its own. Convolutions without biases, `ConvGate` without an
    activation.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB.
        width: feature channels.
        depth: blocks, including the first.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        135,144 / 136,479 / 139,104 parameters at x2 / x3 / x4.

    Raises:
        ValueError: ``depth < 1``.
    """

    def __init__(
        self, *, scale: int = 4, image_channels: int = 3, width: int = 32, depth: int = 5, value_range: float = 1.0
    ) -> None:
        _check_depth("SPANV2", depth)
        normalize, denormalize = normalization(image_channels, value_range)
        layer = partial(conv, bias=False)
        subpixels = image_channels * scale**2
        first = [part for inputs in (image_channels, width, width) for part in (layer(inputs, width), nn.ReLU())]
        blocks = [SPAB(width, act=nn.ReLU, layer=layer, gate=ConvGate) for _ in range(depth - 1)]
        inputs = subpixels + width
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Identity(),
            body=ImageTrunk(
                copies=pixel_copies(image_channels, scale),
                first=nn.Sequential(*first),
                blocks=nn.Sequential(*blocks),
                fuse=nn.Sequential(layer(inputs, inputs, groups=inputs), layer(inputs, subpixels, 1)),
                keep_first=False,
            ),
            upsampler=nn.PixelShuffle(scale),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


class PDS(PostUpsampling):
    """PDS: second of the NTIRE 2025 challenge on efficient super-resolution (as SPANF), third of 2026.

    Described in the reports of the challenges; no paper of its own. The blocks are those of SPAN.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB.
        width: feature channels.
        depth: blocks, including the first.
        fusion_width: channels after the fusion of the features (PDS: 20, SPANF: 32).
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        134,188 / 137,338 / 141,748 parameters at x2 / x3 / x4; SPANF 148,288 at x4.

    Raises:
        ValueError: ``depth < 1``.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 32,
        depth: int = 5,
        fusion_width: int = 20,
        value_range: float = 1.0,
    ) -> None:
        _check_depth("PDS", depth)
        normalize, denormalize = normalization(image_channels, value_range)
        first = [conv(image_channels, width), nn.SiLU(), conv(width, width), nn.SiLU(), conv(width, width)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Identity(),
            body=ImageTrunk(
                copies=pixel_copies(image_channels, scale),
                first=nn.Sequential(*first),
                blocks=nn.Sequential(*(SPAB(width) for _ in range(depth - 1))),
                fuse=conv(image_channels * scale**2 + 2 * width, fusion_width, 1),
                keep_first=True,
            ),
            upsampler=PixelShuffleUp(fusion_width, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


def _check_depth(name: str, depth: int) -> None:
    if depth < 1:
        raise ValueError(f"{name}: depth must be >= 1, got {depth}")


_SIZES = {scale: SizeRequirements(radius=16) for scale in (2, 3, 4)}

register(
    NetworkSpec(
        name="spanv2", build=SPANV2, paper="NTIRE 2026 ESR report", size_requirements=_SIZES, reduced={"depth": 2}
    ),
    NetworkSpec(name="pds", build=PDS, paper="NTIRE 2026 ESR report", size_requirements=_SIZES, reduced={"depth": 2}),
    NetworkSpec(
        name="spanf",
        build=partial(PDS, fusion_width=32),
        paper="NTIRE 2025 ESR report",
        size_requirements=_SIZES,
        reduced={"depth": 2},
    ),
)
