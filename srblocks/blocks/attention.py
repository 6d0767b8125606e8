"""Attention over channels, and the blocks that carry it."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from .conv import conv
from .residual import ResidualBlock


class ChannelAttention(nn.Module):
    """Scale each channel by a gate in (0, 1) that is computed from the means of all channels.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 3: ``x * sigmoid(W_U relu(W_D mean(x)))``.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio r; the hidden layer has ``channels // reduction`` channels (paper: r = 16).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1. The mean is over the whole map: the receptive field is global.

    Raises:
        ValueError: ``reduction`` leaves no hidden channel.

    Example:
        >>> ChannelAttention(64, reduction=16)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ValueError(
                f"ChannelAttention: reduction={reduction} leaves no hidden channel of channels={channels}; "
                f"use 1 <= reduction <= {channels}"
            )
        self.squeeze = conv(channels, channels // reduction, 1)
        self.act = nn.ReLU()
        self.excite = conv(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their channels' gates."""
        mean = x.mean((2, 3), keepdim=True)
        return x * self.excite(self.act(self.squeeze(mean))).sigmoid()


class RCAB(ResidualBlock):
    """Residual channel attention block: ``x + res_scale * CA(conv(act(conv(x))))``.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 4. Differs from the paper: nothing; like the authors' code it uses no
    residual scaling by default.

    Args:
        channels: feature channels C, unchanged by the block.
        reduction: squeeze ratio of the default attention (paper: 16).
        act: factory of the activation between the two convolutions.
        attention: factory ``channels -> module`` in the place of the channel attention; `reduction` is then unused.
        res_scale: multiplier of the residual branch, dimensionless.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1; features, no fixed value range.

    Raises:
        ValueError: ``reduction`` leaves no hidden channel.

    Example:
        >>> RCAB(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        act: Callable[[], nn.Module] = nn.ReLU,
        attention: Callable[[int], nn.Module] | None = None,
        res_scale: float = 1.0,
    ) -> None:
        super().__init__(
            channels,
            act=act,
            attention=attention or partial(ChannelAttention, reduction=reduction),
            res_scale=res_scale,
        )
