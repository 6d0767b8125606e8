"""Dense blocks: each layer receives the concatenated outputs of all previous layers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .conv import conv
from .factories import from_factory


def dense_layer(in_channels: int, growth: int) -> nn.Module:
    """Return a 3x3 convolution with ReLU, the dense layer of SRDenseNet and RDN."""
    return nn.Sequential(conv(in_channels, growth), nn.ReLU())


class Concatenate(nn.Module):
    """Channel concatenation as a module, so that a rewrite can replace it.

    Shape:
        list of ``(N, C_i, H, W) -> (N, sum of C_i, H, W)``
    """

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Concatenate the tensors."""
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors, 1)


class DenseBlock(nn.Module):
    """Dense block: each layer receives the concatenated outputs of all previous layers.

    Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017, arXiv:1608.06993, Fig. 1; in SR Tong et al.,
    *Image Super-Resolution Using Dense Skip Connections*, ICCV 2017, Fig. 2.

    Args:
        channels: input channels C.
        growth: channels G that each layer adds (SRDenseNet: 16).
        depth: number of layers (SRDenseNet: 8).
        layer: factory ``in_channels, growth -> module`` of one layer.
        dense_input: every layer receives the input of the block, not only the first.
        keep_input: the output starts with the input of the block.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, H, W)``; `out_channels` is ``depth * G``, plus C with `keep_input`.

    Raises:
        ValueError: ``depth < 1``.
        TypeError: `layer` is a module instead of a factory.

    Examples:
        >>> block = DenseBlock(64, growth=16, depth=8)
        >>> block.out_channels, block(torch.rand(1, 64, 5, 7)).shape
        (192, torch.Size([1, 192, 5, 7]))
    """

    def __init__(
        self,
        channels: int,
        *,
        growth: int = 16,
        depth: int = 8,
        layer: Callable[[int, int], nn.Module] = dense_layer,
        dense_input: bool = True,
        keep_input: bool = True,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"DenseBlock: depth must be >= 1, got {depth}")
        widths = [channels if i == 0 else (channels if dense_input else 0) + i * growth for i in range(depth)]
        self.layers = nn.ModuleList(from_factory("layer", layer, width, growth) for width in widths)
        self.dense_input = dense_input
        self.keep_input = keep_input
        self.out_channels = depth * growth + (channels if keep_input else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers on the features ``x``."""
        return self._concatenated(x)

    def _concatenated(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for layer in self.layers:
            inputs = [x] + outputs if self.dense_input or len(outputs) == 0 else outputs  # noqa: RUF005 (torch.jit.script)
            outputs.append(layer(inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1)))
        return torch.cat([x] + outputs if self.keep_input else outputs, 1)  # noqa: RUF005

    def extra_repr(self) -> str:
        """Return the flags that differ from their defaults."""
        flags = {"dense_input": self.dense_input, "keep_input": self.keep_input}
        return ", ".join(f"{name}=False" for name, value in flags.items() if not value)


class ResidualDenseBlock(nn.Module):
    """Residual dense block: ``x + res_scale * fuse(dense(x))``.

    Zhang et al., *Residual Dense Network for Image Super-Resolution*, CVPR 2018, arXiv:1802.08797, Fig. 3 and
    eq. (4) to (6). With ``growth=32, depth=4, fuse_kernel=3, res_scale=0.2`` and LeakyReLU it is the dense block of
    ESRGAN (see `RRDB`), with another `layer` and ``fuse_bias=False`` that of ProSR.

    Args:
        channels: feature channels C (G0 in the paper).
        growth: channels G that each layer adds (paper: 64).
        depth: number of dense layers (C in the paper: 8).
        layer: factory ``in_channels, growth -> module`` of one layer.
        fuse_kernel: side of the kernel of the local feature fusion, odd.
        fuse_bias: add a learned bias to the fusion.
        res_scale: multiplier of the residual branch.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as the layers require, any H, W >= 1 with the default.

    Raises:
        ValueError: ``depth < 1``.
        TypeError: `layer` is a module instead of a factory.

    Examples:
        >>> RDB(64, growth=32, depth=6)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        growth: int = 64,
        depth: int = 8,
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

    def extra_repr(self) -> str:
        """Return the residual scale, if it is not 1."""
        return "" if self.res_scale == 1.0 else f"res_scale={self.res_scale:g}"


RDB = ResidualDenseBlock


class FeatureFusion(nn.Module):
    """Global feature fusion: concatenate the outputs of all blocks in a sequence and fuse them.

    Zhang et al., *Residual Dense Network for Image Super-Resolution*, CVPR 2018, arXiv:1802.08797, eq. (7), for blocks
    of any kind.

    Args:
        blocks: modules that map features to features.
        fuse: module that maps the concatenated outputs, oldest first, to features.

    Shape:
        ``(N, C, H, W)`` to the output of `fuse`; H and W as the blocks require.

    Examples:
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
