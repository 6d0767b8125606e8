"""Swift attention: gates computed from the output of a block, with few parameters or none."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .factories import Activation, activation, from_factory


class SwiftGate(nn.Module):
    """Parameter-free attention: ``(x + y) * (sigmoid(y) - 0.5)``.

    Wan et al., *Swift Parameter-free Attention Network for Efficient Super-Resolution*, CVPRW 2024, arXiv:2311.12770,
    eq. (4): the gate is odd in y, so that strong responses of either sign are kept.

    Shape:
        x, y ``(N, C, H, W) -> (N, C, H, W)``

    Examples:
        >>> SwiftGate()(torch.rand(1, 8, 5, 7), torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Gate the sum of the input ``x`` and the output ``y`` of a block."""
        return (x + y) * (torch.sigmoid(y) - 0.5)


class ConvGate(CompactRepr):
    """Gate of a 1x1 convolution: ``(x + y) * act(conv(y))``, as in SPANV2 (no activation) and SPANF3 (tanh), 2026.

    Args:
        channels: feature channels C.
        act: name or factory of the activation of the gate; None for no activation.

    Shape:
        x, y ``(N, C, H, W) -> (N, C, H, W)``

    Examples:
        >>> ConvGate(8, act="tanh")(torch.rand(1, 8, 5, 7), torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 8, 5, 7])
    """

    def __init__(self, channels: int, *, act: Activation | None = None) -> None:
        super().__init__()
        self.conv = conv(channels, channels, 1)
        self.act = activation(act)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Gate the sum of the input ``x`` and the output ``y`` of a block."""
        return (x + y) * self.act(self.conv(y))


class SPAB(CompactRepr):
    """Swift parameter-free attention block: ``gate(x, conv(act(conv(act(conv(x))))))``.

    Wan et al., CVPRW 2024, arXiv:2311.12770, Fig. 2.

    Args:
        channels: feature channels C.
        act: name or factory of the activation after the first two convolutions.
        layer: factory ``in_channels, out_channels -> module`` of the convolutions, such as `Conv3XC`.
        gate: factory ``channels -> module`` of a module ``x, y -> features``; None for `SwiftGate`.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Examples:
        >>> SPAB(28)(torch.rand(1, 28, 5, 7)).shape
        torch.Size([1, 28, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        act: Activation = nn.SiLU,
        layer: Callable[[int, int], nn.Module] = conv,
        gate: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = from_factory("layer", layer, channels, channels)
        self.conv2 = from_factory("layer", layer, channels, channels)
        self.conv3 = from_factory("layer", layer, channels, channels)
        self.act = activation(act)
        self.gate = SwiftGate() if gate is None else from_factory("gate", gate, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        return self.with_first(x)[0]

    def with_first(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the block and the activated output of its first convolution."""
        first = self.act(self.conv1(x))
        return self.gate(x, self.conv3(self.act(self.conv2(first)))), first
