"""Dense connections: every layer sees the outputs of those before it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .conv import conv


def dense_layer(in_channels: int, growth: int) -> nn.Module:
    """Convolution and ReLU, the layer of SRDenseNet and RDN."""
    return nn.Sequential(conv(in_channels, growth), nn.ReLU())


class Concatenate(nn.Module):
    """Maps of one size, their channels one behind another; a module, so that a rewrite can take its place.

    Shape:
        list of ``(N, C_i, H, W) -> (N, sum of C_i, H, W)``
    """

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Concatenate the tensors."""
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors, 1)


class DenseBlock(nn.Module):
    """Layers that each see the concatenation of what the layers before them gave.

    Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017, arXiv:1608.06993, Fig. 1; in SR Tong et al.,
    *Image Super-Resolution Using Dense Skip Connections*, ICCV 2017, Fig. 2.

    Args:
        channels: channels C of the input.
        growth: channels G that each layer adds.
        depth: number of layers.
        layer: factory ``in_channels, growth -> module`` of one layer.
        sees_input: every layer sees the block's input, not only the first.
        gives_input: the output holds the block's input as well, before the layers'.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, H, W)``; `out_channels` is ``depth * G``, plus C with `gives_input`.

    Raises:
        ValueError: no layer.

    Example:
        >>> block = DenseBlock(64, growth=16, depth=8)
        >>> block.out_channels, block(torch.rand(1, 64, 5, 7)).shape
        (192, torch.Size([1, 192, 5, 7]))
    """

    def __init__(
        self,
        channels: int,
        *,
        growth: int,
        depth: int,
        layer: Callable[[int, int], nn.Module] = dense_layer,
        sees_input: bool = True,
        gives_input: bool = True,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"DenseBlock: depth={depth}; use 1 layer or more")
        seen = channels if sees_input else 0
        self.layers = nn.ModuleList(layer(channels if i == 0 else seen + i * growth, growth) for i in range(depth))
        self.sees_input = sees_input
        self.gives_input = gives_input
        self.out_channels = depth * growth + (channels if gives_input else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers on the features ``x``."""
        return self._concatenated(x)

    def _concatenated(self, x: Tensor) -> Tensor:
        given: list[Tensor] = []
        for layer in self.layers:
            seen = [x] + given if self.sees_input or len(given) == 0 else given  # noqa: RUF005 (torch.jit.script)
            given.append(layer(seen[0] if len(seen) == 1 else torch.cat(seen, 1)))
        return torch.cat([x] + given if self.gives_input else given, 1)  # noqa: RUF005


class ResidualDenseBlock(nn.Module):
    """Dense block, fused back to the input's channels and added to it: ``x + res_scale * fuse(dense(x))``.

    Zhang et al., *Residual Dense Network for Image Super-Resolution*, CVPR 2018, arXiv:1802.08797, Fig. 3 and
    eq. (4) to (6). With ``growth=32, depth=4, fuse_kernel=3, res_scale=0.2`` and LeakyReLU it is ESRGAN's dense block
    (see `RRDB`), with `layer` and ``fuse_bias=False`` ProSR's.

    Args:
        channels: feature channels C (G0 in the paper), unchanged by the block.
        growth: channels G that each layer adds.
        depth: number of dense layers (C in the paper).
        layer: factory ``in_channels, growth -> module`` of one layer.
        fuse_kernel: side of the kernel of the local feature fusion, odd.
        fuse_bias: the fusion has a bias.
        res_scale: multiplier of the residual branch, dimensionless.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; sizes as the layers take them, any H, W >= 1 with the default.

    Example:
        >>> RDB(64, growth=32, depth=6)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        growth: int,
        depth: int,
        layer: Callable[[int, int], nn.Module] = dense_layer,
        fuse_kernel: int = 1,
        fuse_bias: bool = True,
        res_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.dense = DenseBlock(channels, growth=growth, depth=depth, layer=layer)
        self.fuse = conv(self.dense.out_channels, channels, fuse_kernel, bias=fuse_bias)
        self.res_scale = float(res_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add the fused dense features to the features ``x``."""
        residual = self.fuse(self.dense(x))
        if self.res_scale != 1.0:
            residual = residual * self.res_scale
        return x + residual


RDB = ResidualDenseBlock


def _leaky_layer(in_channels: int, growth: int) -> nn.Module:
    return nn.Sequential(conv(in_channels, growth), nn.LeakyReLU(0.2))


class RRDB(nn.Module):
    """Residual-in-residual dense block: three dense blocks in a row inside another scaled skip.

    Wang et al., *ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks*, ECCVW 2018, arXiv:1809.00219,
    Fig. 4 and section 3.1.

    Args:
        channels: feature channels C, unchanged by the block.
        growth: channels that each dense layer adds.
        res_scale: multiplier of all residual branches (paper: 0.2).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Example:
        >>> block = RRDB(64)
        >>> sum(p.numel() for p in block.parameters()), block(torch.rand(1, 64, 8, 8)).shape
        (719424, torch.Size([1, 64, 8, 8]))
    """

    def __init__(self, channels: int, *, growth: int = 32, res_scale: float = 0.2) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                ResidualDenseBlock(
                    channels, growth=growth, depth=4, layer=_leaky_layer, fuse_kernel=3, res_scale=res_scale
                )
                for _ in range(3)
            )
        )
        self.res_scale = float(res_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the dense blocks make of the features ``x`` to them."""
        return x + self.blocks(x) * self.res_scale


class FeatureFusion(nn.Module):
    """Modules in a row whose outputs are all kept, concatenated and fused.

    The global feature fusion of Zhang et al., *Residual Dense Network for Image Super-Resolution*, CVPR 2018,
    arXiv:1802.08797, eq. (7), over any blocks.

    Args:
        blocks: modules features to features.
        fuse: the concatenation of all their outputs, oldest first, to features.

    Shape:
        ``(N, C, H, W)`` to what `fuse` makes of the concatenation; sizes as the blocks take them.

    Example:
        >>> FeatureFusion([conv(8, 8), conv(8, 8)], conv(16, 8, 1))(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def __init__(self, blocks: list[nn.Module], fuse: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.fuse = fuse

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on the features ``x`` and fuse their outputs."""
        outputs: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.fuse(torch.cat(outputs, 1))
