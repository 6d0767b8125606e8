"""Residual-in-residual dense blocks of ESRGAN and ESRGAN+."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .dense import DenseBlock, ResidualDenseBlock, dense_layer


def _leaky_layer(in_channels: int, growth: int) -> nn.Module:
    return nn.Sequential(conv(in_channels, growth), nn.LeakyReLU(0.2))


class ResidualDenseLayers(DenseBlock):
    """Dense block with skip connections between its layers: every second layer adds the output of two layers before.

    Rakotonirina and Rasoanaivo, *ESRGAN+: Further Improving Enhanced Super-Resolution Generative Adversarial Network*,
    ICASSP 2020, arXiv:2001.08073, Fig. 3. The second layer adds a 1x1 convolution of the block's input.

    Args:
        channels: input channels C.
        growth: channels G that each layer adds.
        depth: number of layers.
        layer: factory ``in_channels, growth -> module`` of one layer.

    Shape:
        ``(N, C, H, W) -> (N, C + depth * G, H, W)``, any H, W >= 1.

    Examples:
        >>> ResidualDenseLayers(64, growth=32, depth=4)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 192, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        growth: int,
        depth: int,
        layer: Callable[[int, int], nn.Module] = dense_layer,
    ) -> None:
        super().__init__(channels, growth=growth, depth=depth, layer=layer)
        self.project = conv(channels, growth, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers on the features ``x``."""
        outputs = [x]
        skip = self.project(x)
        for i, layer in enumerate(self.layers):
            output = layer(torch.cat(outputs, 1))
            if i % 2 == 1:
                output = output + skip
                skip = output
            outputs.append(output)
        return torch.cat(outputs, 1)


class GaussianNoise(nn.Module):
    """Multiplicative Gaussian noise in training, ``x + std * noise * x``; the identity in eval mode.

    Rakotonirina and Rasoanaivo, ICASSP 2020, arXiv:2001.08073, section 2.2, after each dense block.

    Args:
        std: standard deviation of the noise relative to the features.

    Shape:
        Any shape, unchanged.

    Examples:
        >>> GaussianNoise(0.1).eval()(torch.ones(1, 1, 1, 2)).flatten()
        tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to the features ``x``."""
        return x + self.std * torch.randn_like(x) * x if self.training else x

    def extra_repr(self) -> str:
        """Return the standard deviation."""
        return f"std={self.std:g}"


class RRDB(CompactRepr):
    """Residual-in-residual dense block: three residual dense blocks inside another scaled skip connection.

    Wang et al., *ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks*, ECCVW 2018, arXiv:1809.00219,
    Fig. 4 and section 3.1.

    Args:
        channels: feature channels C.
        growth: channels that each dense layer adds.
        res_scale: multiplier of all residual branches (paper: 0.2).
        plus: skip connections between the dense layers, see `ResidualDenseLayers`, and multiplicative Gaussian noise
            after each dense block in training: the block of ESRGAN+.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Examples:
        >>> block = RRDB(64)
        >>> sum(p.numel() for p in block.parameters()), block(torch.rand(1, 64, 8, 8)).shape
        (719424, torch.Size([1, 64, 8, 8]))
    """

    def __init__(self, channels: int, *, growth: int = 32, res_scale: float = 0.2, plus: bool = False) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for _ in range(3):
            block = ResidualDenseBlock(
                channels, growth=growth, depth=4, layer=_leaky_layer, fuse_kernel=3, res_scale=res_scale
            )
            if plus:
                block.dense = ResidualDenseLayers(channels, growth=growth, depth=4, layer=_leaky_layer)
            blocks.append(block)
        self.blocks = nn.Sequential(*blocks)
        self.noise = GaussianNoise(0.1) if plus else nn.Identity()
        self.res_scale = float(res_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled output of the dense blocks to the features ``x``."""
        residual = x
        for block in self.blocks:
            residual = self.noise(block(residual))
        return x + residual * self.res_scale

    def extra_repr(self) -> str:
        """Return the residual scale."""
        return f"res_scale={self.res_scale:g}"
