"""DRN: a U-shaped network, and dual models that learn the downscaling."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..blocks import DIV2K_MEAN, RCAB, conv, normalization
from ..network import Network
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import InterpolateUp, PixelShuffleUp

_SIZES = {("s", 4): (16, 30), ("s", 8): (8, 30), ("l", 4): (20, 40), ("l", 8): (10, 36)}


class DualModel(nn.Sequential):
    """Dual model of DRN: learned downscaling of an image by 2.

    Guo et al., *Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution*, CVPR 2020,
    arXiv:2003.07018, section 3.3.

    Args:
        width: hidden channels.
        image_channels: channels of the images.

    Shape:
        ``(N, image_channels, 2 H, 2 W) -> (N, image_channels, H, W)``. It has no bias, so it works with any value
        range.

    Examples:
        >>> DualModel(16)(torch.rand(1, 3, 8, 12)).shape
        torch.Size([1, 3, 4, 6])
    """

    def __init__(self, width: int, *, image_channels: int = 3) -> None:
        super().__init__(
            nn.Conv2d(image_channels, width, 3, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2),
            conv(width, image_channels, bias=False),
        )


class DRN(Network):
    """DRN: U-shaped dual regression network, from the interpolated image down to the input size and up again.

    Guo et al., *Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution*, CVPR 2020,
    arXiv:2003.07018, Fig. 2 and 3. `intermediate_outputs` returns the images of all sizes, from the input size to the
    output; `dual_models` returns the dual models, which only training needs.

    Args:
        scale: scale factor, 4 or 8 (any power of 2 with `width` and `depth`).
        image_channels: 3 = RGB (paper), 1 = Y.
        variant: "s" or "l": width and depth at x4 and x8.
        width: feature channels at full size; None for the variant's.
        depth: residual channel attention blocks per level; None for the variant's.
        mean_shift: subtract the DIV2K mean at the input and add it at the output; needs three channels.
        value_range: value of white inside the network (authors: 255).

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        4,804,041 / 5,402,976 parameters at x4 / x8 for DRN-S, 9,825,869 / 10,003,994 for DRN-L.

    Raises:
        ValueError: unknown variant, a scale without a default width and depth, or ``mean_shift`` with
            `image_channels` other than 3.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        variant: Literal["s", "l"] = "s",
        width: int | None = None,
        depth: int | None = None,
        mean_shift: bool = True,
        value_range: float = 255.0,
    ) -> None:
        levels = scale.bit_length() - 1
        if scale != 2**levels or levels < 1 or ((width is None or depth is None) and (variant, scale) not in _SIZES):
            raise ValueError(f"DRN: scale must be 4 or 8, or a power of 2 with width and depth, got {scale}")
        own_width, own_depth = _SIZES.get((variant, scale), (0, 0))
        width = own_width if width is None else width
        depth = own_depth if depth is None else depth
        normalize, denormalize = normalization(image_channels, value_range, DIV2K_MEAN if mean_shift else None)
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            denormalize=denormalize,
        )
        bottom = width * scale
        widths = [width * 2**level for level in range(levels)]
        self.width = width
        self.config |= {"width": width, "depth": depth}
        self.upsampler = InterpolateUp(image_channels, scale, a=-0.75, border="replicate")
        self.head = conv(image_channels, width)
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
                nn.LeakyReLU(0.2),
                conv(channels, 2 * channels, bias=False),
            )
            for channels in widths
        )
        inner = [bottom, *(2 * channels for channels in reversed(widths))]
        self.ups = nn.ModuleList(
            nn.Sequential(
                *(RCAB(channels, reduction=16) for _ in range(depth)),
                PixelShuffleUp(channels, 2),
                conv(channels, out, 1),
            )
            for channels, out in zip(inner, reversed(widths), strict=False)
        )
        self.tails = nn.ModuleList(conv(channels, image_channels) for channels in inner)

    def forward(self, lr: Tensor) -> Tensor:
        """Upscale the images ``lr``."""
        return self.denormalise(self.tails[-1](self._levels(lr)[-1]))

    def sequential_slots(self) -> list[list[str]]:
        """Return the slots that ``forward`` runs in sequence."""
        return [["normalise", "upsampler", "head"]]

    def intermediate_outputs(self, lr: Tensor) -> list[Tensor]:
        """Return the image of every level, from the input size to the output of ``forward``."""
        return [self.denormalise(tail(x)) for tail, x in zip(self.tails, self._levels(lr), strict=True)]

    def dual_models(self) -> nn.ModuleList:
        """Return new dual models, one per doubling, coarsest first, for `srblocks.losses.DualRegressionLoss`."""
        return nn.ModuleList(DualModel(self.width, image_channels=self.image_channels) for _ in self.downs)

    def _levels(self, lr: Tensor) -> list[Tensor]:
        x = self.head(self.upsampler(self.normalise(lr)))
        copies: list[Tensor] = []
        for down in self.downs:
            copies.append(x)
            x = down(x)
        levels = [x]
        for up in self.ups:
            x = torch.cat((up(x), copies[-len(levels)]), 1)
            levels.append(x)
        return levels


register(
    *(
        NetworkSpec(
            name=f"drn_{variant}",
            build=partial(DRN, variant=variant),
            paper="Guo et al., CVPR 2020, arXiv:2003.07018",
            framework_note="U-shaped",
            size_requirements={scale: SizeRequirements(radius=None) for scale in (4, 8)},
            reduced={"depth": 1},
        )
        for variant in ("s", "l")
    )
)
