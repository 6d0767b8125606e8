"""SPAN and SPANF3: swift parameter-free attention, trained with re-parameterized convolutions."""

from functools import partial

import torch
from torch import Tensor, nn

from ..blocks import DIV2K_MEAN, SPAB, Conv3XC, ConvGate, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import PixelShuffleUp, PixelUnshuffleDown


class SPABTrunk(nn.Module):
    """Chain of `SPAB` blocks whose input, first and last outputs are fused, with the last block's first features.

    Wan et al., CVPRW 2024, arXiv:2311.12770, Fig. 2. Differs from the figure as the authors' code does: the features of
    the last block are those after the activation.

    Args:
        blocks: two or more blocks.
        end: module applied to the output of the last block.
        fuse: module that maps the four concatenated feature maps to features.

    Shape:
        ``(N, C, H, W)`` to the output of `fuse`, any H, W >= 1.

    Raises:
        ValueError: fewer than two blocks.
    """

    def __init__(self, blocks: list[SPAB], end: nn.Module, fuse: nn.Module) -> None:
        super().__init__()
        if len(blocks) < 2:
            raise ValueError(f"SPABTrunk: expected two or more blocks, got {len(blocks)}")
        self.first = blocks[0]
        self.middle = nn.Sequential(*blocks[1:-1])
        self.last = blocks[-1]
        self.end = end
        self.fuse = fuse

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on the features ``x`` and fuse the outputs."""
        first = self.first(x)
        last, features = self.last.with_first(self.middle(first))
        return self.fuse(torch.cat((x, self.end(last), first, features), 1))


class SPAN(PostUpsampling):
    """SPAN: swift parameter-free attention network.

    Wan et al., *Swift Parameter-free Attention Network for Efficient Super-Resolution*, CVPRW 2024, arXiv:2311.12770,
    Fig. 2. Winner of the NTIRE 2024 challenge on efficient super-resolution.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB.
        width: feature channels (authors: 48; NTIRE 2024: 28).
        depth: blocks (authors: 6).
        fusion_width: channels after the fusion of the features; None for `width`.
        deploy: plain 3x3 convolutions; False for `Conv3XC`, in which the network is trained.
        mean_shift: subtract the DIV2K mean at the input (nothing is added at the output); needs three channels.
        value_range: value of white at the first convolution (authors: 255); the output is in [0, 1] anyway.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        410,700 / 417,195 / 426,288 parameters at x2 / x3 / x4; with 28 channels 150,688 at x4.

    Raises:
        ValueError: ``depth < 2``, or ``mean_shift`` with `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 48,
        depth: int = 6,
        fusion_width: int | None = None,
        deploy: bool = True,
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        _check_depth("SPAN", depth)
        normalize, _ = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        layer = conv if deploy else Conv3XC
        fused = width if fusion_width is None else fusion_width
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=layer(image_channels, width),
            body=SPABTrunk(
                [SPAB(width, layer=layer) for _ in range(depth)],
                end=layer(width, width),
                fuse=conv(4 * width, fused, 1),
            ),
            upsampler=PixelShuffleUp(fused, scale, out_channels=image_channels, stepwise=False),
            tail=nn.Identity(),
        )


def _tanh_gate(channels: int) -> ConvGate:
    """Return the gate of SPANF3, which starts open: tanh(3) for every pixel."""
    gate = ConvGate(channels, act="tanh")
    nn.init.zeros_(gate.conv.weight)
    if gate.conv.bias is not None:
        nn.init.constant_(gate.conv.bias, 3.0)
    return gate


class SPANF3(PostUpsampling):
    """SPANF3: SPAN with a learned gate, without normalization, and with pixel unshuffle at x1 and x2.

    Network of traiNNer-redux (2026) without a paper; used by video upscalers for anime.

    Args:
        scale: scale factor.
        image_channels: 3 = RGB.
        width: feature channels.
        depth: blocks.
        unshuffle: at scales 1 and 2, work on the image unshuffled by ``4 / scale``; H and W must then be multiples of
            this factor.
        deploy: plain 3x3 convolutions; False for `Conv3XC`, in which the network is trained.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1]; H and W multiples
        of 4 at scale 1 and of 2 at scale 2, any H, W >= 1 otherwise. 439,056 / 423,504 / 419,616 parameters at x1 /
        x2 / x4.

    Raises:
        ValueError: ``depth < 2``.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 48,
        depth: int = 6,
        unshuffle: bool = True,
        deploy: bool = True,
        value_range: float = 1.0,
    ) -> None:
        _check_depth("SPANF3", depth)
        normalize, denormalize = normalization(image_channels, value_range)
        factor = 4 // scale if unshuffle and scale in (1, 2) else 1
        layer = conv if deploy else Conv3XC
        block = partial(SPAB, act=nn.ReLU, layer=layer, gate=_tanh_gate)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            size_multiple=factor,
            normalize=normalize,
            head=PixelUnshuffleDown(image_channels, factor, out_channels=width, layer=layer),
            body=SPABTrunk([block(width) for _ in range(depth)], end=nn.Identity(), fuse=conv(4 * width, width, 1)),
            upsampler=nn.Sequential(
                layer(width, image_channels * (scale * factor) ** 2), nn.PixelShuffle(scale * factor)
            ),
            tail=nn.Identity(),
            denormalize=denormalize,
        )


def _check_depth(name: str, depth: int) -> None:
    if depth < 2:
        raise ValueError(f"{name}: depth must be >= 2, got {depth}")


register(
    NetworkSpec(
        name="span",
        build=SPAN,
        paper="Wan et al., CVPRW 2024, arXiv:2311.12770",
        size_requirements={scale: SizeRequirements(radius=21) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    ),
    NetworkSpec(
        name="span_ntire",
        build=partial(SPAN, width=28),
        paper="Wan et al., CVPRW 2024, arXiv:2311.12770",
        size_requirements={scale: SizeRequirements(radius=21) for scale in (2, 3, 4)},
        reduced={"depth": 2},
    ),
    NetworkSpec(
        name="spanf3",
        build=SPANF3,
        paper="traiNNer-redux, 2026 (code)",
        size_requirements={
            1: SizeRequirements(radius=83, min_size=4, size_multiple=4),
            2: SizeRequirements(radius=41, min_size=2, size_multiple=2),
            3: SizeRequirements(radius=20),
            4: SizeRequirements(radius=20),
        },
        reduced={"depth": 2},
    ),
)
