"""Upsampling with pyramids: each level doubles the features, and the image."""

from functools import partial

from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from ..blocks.conv import conv
from ..blocks.factories import Activation, activation
from ..init import bilinear_
from .scale import prime_factors
from .transposed import DeconvUp


def activated_convs(channels: int, depth: int, *, bias: bool = True) -> nn.Sequential:
    """Return `depth` convolutions, each followed by LeakyReLU 0.2: the body of LapSRN's levels."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [conv(channels, channels, bias=bias), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


class LaplacianLevel(nn.Module):
    """Level of a Laplacian pyramid: double the features, and the image with a predicted residual.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017,
    arXiv:1704.03915, Fig. 1 and section 3.1. Differs from the paper's text, as the authors' released networks do:
    the features are upscaled by a 3x3 transposed convolution whose last row and column are dropped.

    Args:
        channels: feature channels C.
        body: module that maps features to features before the upscaling; the recursive body of MS-LapSRN goes here.
        image_channels: image channels, 1 = Y.
        upconv_kernel: side of the transposed kernel of the features: 3 (released), or 4 with padding 1 (paper's text).
        bias: add learned biases to the convolutions of the features.
        act: name or factory of the activation after the upscaled features; None for no activation.

    Shape:
        ``x (N, C, H, W), image (N, image_channels, H, W) -> (N, C, 2H, 2W), (N, image_channels, 2H, 2W)``

    Raises:
        ValueError: `upconv_kernel` is neither 3 nor 4.

    Examples:
        >>> x, image = LaplacianLevel(64, body=conv(64, 64))(torch.rand(1, 64, 5, 7), torch.rand(1, 1, 5, 7))
        >>> x.shape, image.shape
        (torch.Size([1, 64, 10, 14]), torch.Size([1, 1, 10, 14]))
    """

    def __init__(
        self,
        channels: int,
        *,
        body: nn.Module,
        image_channels: int = 1,
        upconv_kernel: int = 3,
        bias: bool = True,
        act: Activation | None = partial(nn.LeakyReLU, 0.2),
    ) -> None:
        super().__init__()
        if upconv_kernel not in (3, 4):
            raise ValueError(f"LaplacianLevel: upconv_kernel must be 3 or 4, got {upconv_kernel}")
        self.body = body
        self.upsampler = DeconvUp(channels, 2, kernel_size=upconv_kernel, padding=upconv_kernel - 3, bias=bias, act=act)
        self.residual = conv(channels, image_channels, bias=bias)
        self.image_up = DeconvUp(image_channels, 2, kernel_size=4, bias=False, groups=image_channels)
        bilinear_(self.image_up.deconv.weight)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Upscale the features ``x`` and the ``image``."""
        x = self.upsampler(self.body(x))
        return x, self.image_up(image) + self.residual(x)


class PyramidLevel(nn.Module):
    """Level of a feature pyramid: blocks at one size, then an upsampler: ``up(x + body(x))`` or ``up(body(x))``.

    Wang et al., *A Fully Progressive Approach to Single-Image Super-Resolution*, CVPRW 2018, arXiv:1804.02900, Fig. 2.

    Args:
        body: module that maps features to features.
        upsampler: module that upscales features by 2.
        skip: add the input to the output of `body`.

    Shape:
        ``(N, C, H, W)`` to twice H and W, with the channels of `upsampler`; H and W as `body` requires.

    Examples:
        >>> PyramidLevel(conv(8, 8), DeconvUp(8, 2), skip=True)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 10, 14])
    """

    def __init__(self, body: nn.Module, upsampler: nn.Module, *, skip: bool) -> None:
        super().__init__()
        self.body = body
        self.upsampler = upsampler
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Run the body on the features ``x`` and double their size."""
        residual = self.body(x)
        return self.upsampler(x + residual if self.skip else residual)

    def extra_repr(self) -> str:
        """Return the skip flag."""
        return f"skip={self.skip}"


class LaplacianUp(CompactRepr):
    """Laplacian pyramid upsampler of features: each level adds a predicted residual to a smooth upscaling.

    The levels of Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017,
    arXiv:1704.03915 (see `LaplacianLevel`), as an upsampler of features: a 1x1 convolution computes the coarsest
    "image", which has `out_channels` channels.

    Args:
        channels: input channels.
        scale: scale factor, a power of 2.
        out_channels: output channels; None for `channels`.
        depth: convolutions with LeakyReLU in each level.
        act: name or factory of an activation at the end; None for no activation.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not a power of 2 above 1.

    Examples:
        >>> LaplacianUp(16, 4)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 20, 28])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        depth: int = 1,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        steps = prime_factors(scale)
        if set(steps) != {2}:
            raise ValueError(f"LaplacianUp: scale must be a power of 2 (2, 4, 8, ...), got {scale}")
        out = channels if out_channels is None else out_channels
        self.image = conv(channels, out, 1)
        self.levels = nn.ModuleList(
            LaplacianLevel(channels, body=activated_convs(channels, depth), image_channels=out) for _ in steps
        )
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        image = self.image(x)
        for level in self.levels:
            x, image = level(x, image)
        return self.act(image)
