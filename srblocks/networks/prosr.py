"""ProSR: pyramids of dense blocks, each followed by a x2 upsampler."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from ..blocks import DIV2K_MEAN, RDB, DenseBlock, MultiScale, conv, normalization
from ..network import Network
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PyramidLevel

_DEVIATION = 0.0039215
"""Divisor in the authors' code: 1 / 255 in four digits."""

reflected = partial(conv, padding_mode="reflect")


def _layer(in_channels: int, growth: int) -> nn.Module:
    return nn.Sequential(conv(in_channels, 4 * growth, 1), nn.ReLU(), reflected(4 * growth, growth))


class _DoubleUp(nn.Sequential):
    """Reflection-padded convolution and x2 pixel shuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__(reflected(channels, 4 * channels), nn.PixelShuffle(2), nn.ReLU())


class ProSR(Network):
    """ProSR: fully progressive super-resolution network.

    Wang et al., *A Fully Progressive Approach to Single-Image Super-Resolution*, CVPRW 2018, arXiv:1804.02900, Fig. 2:
    asymmetric pyramids of dense blocks, each followed by a x2 upsampler. A scale runs the first of them, between its
    own input and output convolution. All 3x3 convolutions use reflection padding.

    Args:
        scale: scale factor that the network runs at, one of `scales`; `at_scale` returns the others.
        scales: scale factors with an input and an output convolution, powers of 2 (authors: 2, 4, 8).
        image_channels: 3 = RGB (paper), 1 = Y.
        width: channels of the input convolutions.
        growth: channels that each dense layer adds.
        blocks: number of dense blocks in each pyramid.
        depth: layers in each dense block.
        residual: residual dense blocks with skips around the pyramids (ProSR_l) instead of compressed ones (ProSR_s).
        image_skip: add the bicubically upscaled input (the authors add it outside the network).
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], H, W >= 2.
        15,537,609 parameters with three scales for ProSR_l, 2,550,191 for ProSR_s.

    Raises:
        ValueError: `scale` is not among `scales`, one of them is not a power of 2 or needs more pyramids than `blocks`
            has, or ``mean_shift`` with `image_channels` other than 3.
    """

    framework = "progressive"

    def __init__(
        self,
        *,
        scale: int = 2,
        scales: Sequence[int] = (2, 4, 8),
        image_channels: int = 3,
        width: int = 160,
        growth: int = 40,
        blocks: Sequence[int] = (9, 3, 1),
        depth: int = 8,
        residual: bool = True,
        image_skip: bool = True,
        mean_shift: bool = True,
        value_range: float = 1 / _DEVIATION,
    ) -> None:
        levels = {each: each.bit_length() - 1 for each in scales}
        if any(each != 2**level or not 1 <= level <= len(blocks) for each, level in levels.items()):
            largest = 2 ** len(blocks)
            raise ValueError(
                f"ProSR: scales must be powers of 2 up to {largest} for {len(blocks)} pyramids, got {list(scales)}"
            )
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            min_size=2,
            normalize=normalize,
            denormalize=denormalize,
        )
        self.scales = tuple(scales)
        self.head = MultiScale(scale, {each: reflected(image_channels, width) for each in scales})
        pyramids: list[nn.Module] = []
        channels, ends = width, [0]
        for level in range(max(levels.values())):
            body: list[nn.Module] = []
            if level:
                kept = width if residual else channels // 2
                body.append(conv(channels, kept, 1, bias=False))
                channels = kept
            for block in range(blocks[level]):
                if residual:
                    body.append(RDB(channels, growth=growth, depth=depth, layer=_layer, fuse_bias=False, res_scale=0.2))
                    continue
                dense = DenseBlock(channels, growth=growth, depth=depth, layer=_layer)
                body.append(dense)
                channels = dense.out_channels
                if block < blocks[level] - 1:
                    body.append(conv(channels, int(0.4 * channels), 1, bias=False))
                    channels = int(0.4 * channels)
            body.append(reflected(channels, channels))
            pyramids.append(PyramidLevel(nn.Sequential(*body), _DoubleUp(channels), skip=residual))
            ends.append(channels)
        self.levels = nn.ModuleList(pyramids)
        self.steps = levels.get(scale, 0)
        self.tail = MultiScale(scale, {each: reflected(ends[level], image_channels) for each, level in levels.items()})
        self.image_skip = InterpolateUp(image_channels, scale) if image_skip else None

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        image = self.normalise(lr)
        x = self.head(image)
        for i, level in enumerate(self.levels):
            if i < self.steps:
                x = level(x)
        sr = self.tail(x)
        if self.image_skip is not None:
            sr = sr + self.image_skip(image)
        return self.denormalise(sr)

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "head"], ["tail", "denormalise"]] if self.image_skip is None else []


_SMALL = {"width": 24, "growth": 12, "blocks": [4, 2, 1], "depth": 6, "residual": False}

register(
    *(
        NetworkSpec(
            name=name,
            build=partial(ProSR, **config),
            paper="Wang et al., CVPRW 2018, arXiv:1804.02900",
            size_requirements={scale: SizeRequirements(radius=radius, min_size=2) for scale, radius in radii.items()},
            reduced={"blocks": blocks, "depth": 2},
        )
        for name, config, radii, blocks in (
            ("prosr_l", {}, {2: 76, 4: 89, 8: 91}, [1, 1, 1]),
            ("prosr_s", _SMALL, {2: 28, 4: 35, 8: 37}, [2, 1, 1]),
        )
    )
)
