"""Upsampling level by level: each level doubles the features and the image."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from ..blocks.conv import conv
from ..init import bilinear_
from .pixel_shuffle import DeconvUp, prime_factors


def activated_convs(channels: int, depth: int, *, bias: bool = True) -> nn.Sequential:
    """Give `depth` convolutions, each with LeakyReLU 0.2: the body of LapSRN's levels."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [conv(channels, channels, bias=bias), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


class LaplacianLevel(nn.Module):
    """One level of a Laplacian pyramid: doubles the features, and the image with a predicted residual.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017,
    arXiv:1704.03915, Fig. 1 and section 3.1. Differs from the paper's text, as the authors' released networks do:
    the features are enlarged by a 3x3 transposed convolution whose last row and column are dropped.

    Args:
        channels: feature channels C.
        body: features to features, ahead of the enlargement; shared levels give it the recursion of MS-LapSRN.
        image_channels: channels of the image, 1 = Y.
        upconv_kernel: side of the features' transposed kernel: 3 (released), or 4 with padding 1 (the paper's text).
        bias: convolutions of the features have a bias.
        act: factory of the activation behind the enlarged features; None for none.

    Shape:
        ``x (N, C, H, W), image (N, image_channels, H, W) -> (N, C, 2H, 2W), (N, image_channels, 2H, 2W)``

    Raises:
        ValueError: another transposed kernel.

    Example:
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
        act: Callable[[], nn.Module] | None = partial(nn.LeakyReLU, 0.2),
    ) -> None:
        super().__init__()
        if upconv_kernel not in (3, 4):
            raise ValueError(f"LaplacianLevel: upconv_kernel={upconv_kernel} is unknown; use 3 or 4")
        self.body = body
        self.upsampler = DeconvUp(channels, 2, kernel_size=upconv_kernel, padding=upconv_kernel - 3, bias=bias, act=act)
        self.residual = conv(channels, image_channels, bias=bias)
        self.image_up = DeconvUp(image_channels, 2, kernel_size=4, bias=False, groups=image_channels)
        bilinear_(self.image_up.deconv.weight)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge the features ``x`` and the ``image``."""
        x = self.upsampler(self.body(x))
        return x, self.image_up(image) + self.residual(x)


class PyramidLevel(nn.Module):
    """One level of a pyramid of features: blocks at one size, then a doubling: ``up(x + body(x))``.

    Wang et al., *A Fully Progressive Approach to Single-Image Super-Resolution*, CVPRW 2018, arXiv:1804.02900, Fig. 2.

    Args:
        body: features to features.
        upsampler: features to features, twice as large.
        skip: add the features to what `body` makes of them; otherwise ``up(body(x))``.

    Shape:
        ``(N, C, H, W)`` to twice H and W, in the channels of `upsampler`; sizes as `body` takes them.

    Example:
        >>> PyramidLevel(conv(8, 8), DeconvUp(8, 2), skip=True)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 10, 14])
    """

    def __init__(self, body: nn.Module, upsampler: nn.Module, *, skip: bool) -> None:
        super().__init__()
        self.body = body
        self.upsampler = upsampler
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Work on the features ``x`` and double them."""
        residual = self.body(x)
        return self.upsampler(x + residual if self.skip else residual)


class LaplacianUp(nn.Module):
    """Enlarge features by a Laplacian pyramid: level by level, a smooth enlargement plus a predicted residual.

    The levels of Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017,
    arXiv:1704.03915 (see `LaplacianLevel`), as an upsampler of features: a 1x1 convolution gives the coarsest "image",
    which has `out_channels` channels.

    Args:
        channels: feature channels of the input.
        scale: enlargement per side, a power of 2.
        out_channels: channels of the output; None keeps `channels`.
        depth: convolutions with LeakyReLU in each level.
        act: factory of an activation behind it; None for none.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: ``scale`` is no power of 2 above 1.

    Example:
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
        act: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        steps = prime_factors(scale)
        if set(steps) != {2}:
            raise ValueError(f"LaplacianUp: scale={scale} is no pyramid of doublings; use 2, 4, 8, ...")
        out = channels if out_channels is None else out_channels
        self.image = conv(channels, out, 1)
        self.levels = nn.ModuleList(
            LaplacianLevel(channels, body=activated_convs(channels, depth), image_channels=out) for _ in steps
        )
        self.act = act() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge the features ``x``."""
        image = self.image(x)
        for level in self.levels:
            x, image = level(x, image)
        return self.act(image)
