"""Upsampling level by level: each level doubles the features and the image."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from ..blocks.conv import conv
from ..init import bilinear_
from .post import DeconvUp


class LaplacianLevel(nn.Module):
    """One level of a Laplacian pyramid: doubles the features, and the image with a predicted residual.

    Lai et al., *Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution*, CVPR 2017,
    arXiv:1704.03915, Fig. 1 and section 3.1. Differs from the paper's text, as the authors' released networks do:
    the features are enlarged by a 3x3 transposed convolution whose last row and column are dropped.

    Args:
        channels: feature channels C.
        depth: convolutions before the transposed one.
        image_channels: channels of the image, 1 = Y.
        upconv_kernel: side of the features' transposed kernel: 3 (released), or 4 with padding 1 (the paper's text).
        bias: convolutions of the features have a bias.
        act: factory of the activation.

    Shape:
        ``x (N, C, H, W), image (N, image_channels, H, W) -> (N, C, 2H, 2W), (N, image_channels, 2H, 2W)``

    Raises:
        ValueError: another transposed kernel.

    Example:
        >>> x, image = LaplacianLevel(64, depth=2)(torch.rand(1, 64, 5, 7), torch.rand(1, 1, 5, 7))
        >>> x.shape, image.shape
        (torch.Size([1, 64, 10, 14]), torch.Size([1, 1, 10, 14]))
    """

    def __init__(
        self,
        channels: int,
        *,
        depth: int,
        image_channels: int = 1,
        upconv_kernel: int = 3,
        bias: bool = True,
        act: Callable[[], nn.Module] = partial(nn.LeakyReLU, 0.2),
    ) -> None:
        super().__init__()
        if upconv_kernel not in (3, 4):
            raise ValueError(f"LaplacianLevel: upconv_kernel={upconv_kernel} is unknown; use 3 or 4")
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [conv(channels, channels, bias=bias), act()]
        self.body = nn.Sequential(*layers)
        self.upsampler = DeconvUp(channels, 2, kernel_size=upconv_kernel, padding=upconv_kernel - 3, bias=bias, act=act)
        self.residual = conv(channels, image_channels, bias=bias)
        self.image_up = DeconvUp(image_channels, 2, kernel_size=4, bias=False, groups=image_channels)
        bilinear_(self.image_up.deconv.weight)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge the features ``x`` and the ``image``."""
        x = self.upsampler(self.body(x))
        return x, self.image_up(image) + self.residual(x)
