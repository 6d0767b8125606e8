"""Residual blocks and groups of them."""

from collections.abc import Callable

from torch import Tensor, nn

from .conv import conv


class ResidualBlock(nn.Module):
    """``out_act(x + res_scale * attention(norm(conv(act(norm(conv(x)))))))``, the common residual block of SR networks.

    With the defaults it is EDSR's block without normalization (Lim et al., CVPRW 2017, arXiv:1707.02921, Fig. 2c);
    with ``norm=nn.BatchNorm2d, act=nn.PReLU`` SRResNet's (Ledig et al., CVPR 2017, arXiv:1609.04802, Fig. 4); with an
    ``attention`` it is the block of RCAN and its successors (see `RCAB`); with ``out_act=nn.ReLU`` CARN's.

    Args:
        channels: feature channels C, unchanged by the block.
        kernel_size: side of both kernels, odd.
        norm: factory ``channels -> module`` of the normalization after each convolution; None for none.
        act: factory of the activation between the two convolutions.
        bias: the convolutions have a bias; None for exactly where no normalization follows.
        attention: factory ``channels -> module`` applied to the residual branch; None for none.
        res_scale: multiplier of the residual branch, dimensionless (EDSR's full network: 0.1).
        out_act: factory of an activation after the sum; None for none.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1; features, no fixed value range.

    Example:
        >>> ResidualBlock(64, norm=nn.BatchNorm2d, act=nn.PReLU)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        norm: Callable[[int], nn.Module] | None = None,
        act: Callable[[], nn.Module] = nn.ReLU,
        bias: bool | None = None,
        attention: Callable[[int], nn.Module] | None = None,
        res_scale: float = 1.0,
        out_act: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if bias is None:
            bias = norm is None
        self.conv1 = conv(channels, channels, kernel_size, bias=bias)
        self.norm1 = norm(channels) if norm else nn.Identity()
        self.act = act()
        self.conv2 = conv(channels, channels, kernel_size, bias=bias)
        self.norm2 = norm(channels) if norm else nn.Identity()
        self.attention = attention(channels) if attention else nn.Identity()
        self.res_scale = float(res_scale)
        self.out_act = out_act() if out_act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch to the features ``x``."""
        residual = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        residual = self.attention(residual)
        if self.res_scale != 1.0:
            residual = residual * self.res_scale
        return self.out_act(x + residual)


class ResidualGroup(nn.Module):
    """Blocks in a row, a convolution, and a skip around all of it: ``x + conv(attention(block(...block(x))))``.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 2, where the blocks are `RCAB`; with an ``attention`` behind plain residual blocks SAN's
    local-source residual attention group (Dai et al., CVPR 2019, Fig. 2).

    Args:
        channels: feature channels C, unchanged by the group.
        depth: number of blocks.
        block: factory ``channels -> module`` of one block.
        attention: factory ``channels -> module`` between the blocks and the convolution; None for none.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; sizes as the blocks take them.

    Example:
        >>> ResidualGroup(16, depth=2)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        depth: int,
        block: Callable[[int], nn.Module] = ResidualBlock,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        layers = [block(channels) for _ in range(depth)]
        if attention:
            layers.append(attention(channels))
        self.body = nn.Sequential(*layers, conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add what the blocks and the convolution make of the features ``x`` to them."""
        return x + self.body(x)
