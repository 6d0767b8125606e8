"""RealPLKSR: partial large kernels, trained for real-world degradations."""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from ..blocks import PartialLargeKernelBlock, conv, normalization
from ..frameworks import PostUpsampling
from ..registry import NetworkSpec, SizeRequirements, register
from ..upsampling import DySample


class PixelSkip(nn.Module):
    """Layers whose output gets each channel of the image added to ``scale**2`` channels.

    Args:
        layers: image (N, C, H, W) to features (N, ``C * scale**2``, H, W).
        scale: scale factor.

    Shape:
        ``(N, C, H, W) -> (N, C * scale**2, H, W)``
    """

    def __init__(self, layers: nn.Module, scale: int) -> None:
        super().__init__()
        self.layers = layers
        self.copies = scale**2

    def forward(self, image: Tensor) -> Tensor:
        """Compute the features of the image."""
        return self.layers(image) + image.repeat_interleave(self.copies, 1)


class RealPLKSR(PostUpsampling):
    """RealPLKSR: partial large kernel network for real-world images.

    Variant by neosr of Lee et al., *Partial Large Kernel CNNs for Efficient Super-Resolution*, arXiv:2404.11848,
    Fig. 2.

    Args:
        scale: scale factor; 1 restores images of the same size.
        image_channels: 3 = RGB (paper).
        width: feature channels (large: 96).
        depth: blocks (tiny: 12).
        kernel_size: side of the large kernels, odd (tiny: 13).
        split: share of the channels with large kernels.
        attention: element-wise attention in the blocks (tiny: False).
        norm: "layer" (traiNNer-redux) or "group" (neosr), which makes the receptive field global.
        upsampling: "pixel_shuffle" or "dysample" (see `DySample`), which also makes the receptive field global.
        value_range: value of white inside the network.

    Shape:
        ``(N, image_channels, H, W) -> (N, image_channels, scale * H, scale * W)``, values in [0, 1], any H, W >= 1.
        7,363,715 / 7,368,908 / 7,377,563 / 7,389,680 parameters at x1 / x2 / x3 / x4.

    Raises:
        ValueError: unknown `norm` or `upsampling`.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        image_channels: int = 3,
        width: int = 64,
        depth: int = 28,
        kernel_size: int = 17,
        split: float = 0.25,
        attention: bool = True,
        norm: Literal["layer", "group"] = "layer",
        upsampling: Literal["pixel_shuffle", "dysample"] = "pixel_shuffle",
        value_range: float = 1.0,
    ) -> None:
        normalize, denormalize = normalization(image_channels, value_range)
        block = partial(
            PartialLargeKernelBlock,
            width,
            convolved=int(width * split + 1e-6),
            kernel_size=kernel_size,
            attention=attention,
            norm=norm,
        )
        subpixels = image_channels * scale**2
        upsampler: nn.Module = nn.PixelShuffle(scale) if scale > 1 else nn.Identity()
        if upsampling == "dysample":
            groups = image_channels if scale % 2 else 4
            upsampler = DySample(subpixels, scale, out_channels=image_channels, groups=groups)
        layers = [conv(image_channels, width), *(block() for _ in range(depth)), conv(width, subpixels)]
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            normalize=normalize,
            head=nn.Identity(),
            body=PixelSkip(nn.Sequential(*layers), scale),
            upsampler=upsampler,
            tail=nn.Identity(),
            denormalize=denormalize,
        )


_PAPER = "Lee et al., arXiv:2404.11848, in the variant of neosr (code)"

register(
    NetworkSpec(
        name="realplksr",
        build=RealPLKSR,
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=310) for scale in (1, 2, 3, 4)},
        reduced={"depth": 1},
    ),
    NetworkSpec(
        name="realplksr_tiny",
        build=partial(RealPLKSR, depth=12, kernel_size=13, attention=False),
        paper=_PAPER,
        size_requirements={scale: SizeRequirements(radius=98) for scale in (1, 2, 3, 4)},
        reduced={"depth": 1},
    ),
)
