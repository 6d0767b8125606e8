"""Residual blocks and groups of residual blocks."""

from collections.abc import Callable

from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .factories import Activation, activation, from_factory


class ResidualBlock(CompactRepr):
    """Residual block: ``out_act(x + res_scale * attention(norm(conv(act(norm(conv(x)))))))``.

    With the defaults it is the EDSR block without normalization (Lim et al., CVPRW 2017, arXiv:1707.02921, Fig. 2c).
    With ``norm=nn.BatchNorm2d, act=nn.PReLU`` it is the SRResNet block (Ledig et al., CVPR 2017, arXiv:1609.04802,
    Fig. 4), with an ``attention`` the block of RCAN and its successors (see `RCAB`), and with ``out_act=nn.ReLU`` the
    CARN block.

    Args:
        channels: feature channels C.
        kernel_size: side of both kernels, odd.
        norm: factory ``channels -> module`` of the normalization after each convolution; None for no normalization.
        act: name or factory of the activation between the convolutions, such as "relu" or `nn.PReLU`.
        bias: add a learned bias to the convolutions; None for "only without normalization".
        attention: factory ``channels -> module`` applied to the residual branch; None for no attention.
        res_scale: multiplier of the residual branch (EDSR full: 0.1).
        out_act: name or factory of an activation after the sum; None for no activation.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        TypeError: a factory argument is a module instead of a factory.

    Examples:
        >>> ResidualBlock(64, norm=nn.BatchNorm2d, act="prelu")(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        norm: Callable[[int], nn.Module] | None = None,
        act: Activation = nn.ReLU,
        bias: bool | None = None,
        attention: Callable[[int], nn.Module] | None = None,
        res_scale: float = 1.0,
        out_act: Activation | None = None,
    ) -> None:
        super().__init__()
        if bias is None:
            bias = norm is None
        self.conv1 = conv(channels, channels, kernel_size, bias=bias)
        self.norm1 = from_factory("norm", norm, channels)
        self.act = activation(act)
        self.conv2 = conv(channels, channels, kernel_size, bias=bias)
        self.norm2 = from_factory("norm", norm, channels)
        self.attention = from_factory("attention", attention, channels)
        self.res_scale = float(res_scale)
        self.out_act = activation(out_act, argument="out_act")

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch to the features ``x``."""
        residual = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        residual = self.attention(residual)
        if self.res_scale != 1.0:
            residual = residual * self.res_scale
        return self.out_act(x + residual)

    def extra_repr(self) -> str:
        """Return the residual scale, if it is not 1."""
        return "" if self.res_scale == 1.0 else f"res_scale={self.res_scale:g}"


class ResidualGroup(nn.Module):
    """Residual group: a sequence of blocks and a convolution with a skip connection around them.

    ``x + conv(attention(block(...block(x))))``: Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel
    Attention Networks*, ECCV 2018, arXiv:1807.02758, Fig. 2, with `RCAB` blocks. Residual blocks followed by an
    ``attention`` are the local-source residual attention group of SAN (Dai et al., CVPR 2019, Fig. 2).

    Args:
        channels: feature channels C.
        depth: number of blocks.
        block: factory ``channels -> module`` of one block.
        attention: factory ``channels -> module`` between the blocks and the convolution; None for no attention.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as the blocks require.

    Raises:
        TypeError: a factory argument is a module instead of a factory.

    Examples:
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
        layers = [from_factory("block", block, channels) for _ in range(depth)]
        if attention is not None:
            layers.append(from_factory("attention", attention, channels))
        self.body = nn.Sequential(*layers, conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add the output of the blocks and the convolution to the features ``x``."""
        return x + self.body(x)
