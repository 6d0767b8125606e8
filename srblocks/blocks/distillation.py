"""Information distillation: blocks that keep part of the features after each convolution and refine the rest."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .enhanced_spatial_attention import EnhancedSpatialAttention
from .factories import Activation, activation, from_factory

_LEAKY = partial(nn.LeakyReLU, 0.05)


class InformationDistillationBlock(CompactRepr):
    """Information multi-distillation block (IMDB): each convolution splits off distilled features; the rest goes on.

    Hui et al., *Lightweight Image Super-Resolution with Information Multi-distillation Network*, ACM MM 2019,
    arXiv:1909.11856, Fig. 3: ``x + fuse(attention(concat(distilled)))``.

    Args:
        channels: feature channels C, a multiple of 4; a quarter is distilled in each of the four steps.
        act: name or factory of the activation after the first three convolutions.
        attention: factory ``channels -> module`` applied to the distilled features; None for no attention.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: `channels` is not a multiple of 4.

    Examples:
        >>> InformationDistillationBlock(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        act: Activation = _LEAKY,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"InformationDistillationBlock: channels must be a multiple of 4, got {channels}")
        distilled = channels // 4
        self.sizes = [distilled, channels - distilled]
        self.conv1 = conv(channels, channels)
        self.conv2 = conv(channels - distilled, channels)
        self.conv3 = conv(channels - distilled, channels)
        self.conv4 = conv(channels - distilled, distilled)
        self.act = activation(act)
        self.attention = from_factory("attention", attention, channels)
        self.fuse = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        first, rest = self.act(self.conv1(x)).split(self.sizes, 1)
        second, rest = self.act(self.conv2(rest)).split(self.sizes, 1)
        third, rest = self.act(self.conv3(rest)).split(self.sizes, 1)
        distilled = torch.cat((first, second, third, self.conv4(rest)), 1)
        return x + self.fuse(self.attention(distilled))


class FeatureDistillationBlock(CompactRepr):
    """Residual feature distillation block (RFDB): 1x1 convolutions distill, shallow residual blocks refine.

    Liu et al., *Residual Feature Distillation Network for Lightweight Image Super-Resolution*, ECCVW 2020,
    arXiv:2009.11551, Fig. 2: three times ``d = act(distill(x)); x = act(refine(x) + x)``, then
    ``attention(fuse(concat(d1, d2, d3, act(last(x)))))``. With blueprint separable convolutions, GELU and ``skip=True``
    it is the block of BSRN (Li et al., CVPRW 2022, arXiv:2205.05996, Fig. 3).

    Args:
        channels: feature channels C; the distilled features have half as many.
        act: name or factory of the activation.
        layer: factory ``in_channels, out_channels -> module`` of the 3x3 convolutions.
        attention: factory ``channels -> module`` at the end.
        skip: add the input of the block.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as `attention` requires, H, W >= 15 with the default.

    Examples:
        >>> FeatureDistillationBlock(48)(torch.rand(1, 48, 17, 23)).shape
        torch.Size([1, 48, 17, 23])
    """

    def __init__(
        self,
        channels: int,
        *,
        act: Activation = _LEAKY,
        layer: Callable[[int, int], nn.Module] = conv,
        attention: Callable[[int], nn.Module] | None = EnhancedSpatialAttention,
        skip: bool = False,
    ) -> None:
        super().__init__()
        half = channels // 2
        self.distill = nn.ModuleList(conv(channels, half, 1) for _ in range(3))
        self.refine = nn.ModuleList(from_factory("layer", layer, channels, channels) for _ in range(3))
        self.last = from_factory("layer", layer, channels, half)
        self.act = activation(act)
        self.fuse = conv(4 * half, channels, 1)
        self.attention = from_factory("attention", attention, channels)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        refined = x
        distilled: list[Tensor] = []
        for distill, refine in zip(self.distill, self.refine):  # noqa: B905 (torch.jit.script)
            distilled.append(self.act(distill(refined)))
            refined = self.act(refine(refined) + refined)
        distilled.append(self.act(self.last(refined)))
        output = self.attention(self.fuse(torch.cat(distilled, 1)))
        return output + x if self.skip else output


class LocalFeatureBlock(CompactRepr):
    """Residual local feature block (RLFB): three activated convolutions with a skip, a 1x1 convolution, attention.

    Kong et al., *Residual Local Feature Network for Efficient Super-Resolution*, CVPRW 2022, arXiv:2205.07514, Fig. 3.

    Args:
        channels: feature channels C.
        hidden: channels between the convolutions; None for C.
        act: name or factory of the activation.
        attention: factory ``channels -> module`` at the end.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; H and W as `attention` requires, H, W >= 15 with the default.

    Examples:
        >>> LocalFeatureBlock(48)(torch.rand(1, 48, 17, 23)).shape
        torch.Size([1, 48, 17, 23])
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden: int | None = None,
        act: Activation = _LEAKY,
        attention: Callable[[int], nn.Module] | None = partial(EnhancedSpatialAttention, hidden=16, depth=1),
    ) -> None:
        super().__init__()
        hidden = channels if hidden is None else hidden
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, hidden), (hidden, hidden), (hidden, channels)):
            layers += [conv(inputs, outputs), activation(act)]
        self.branch = nn.Sequential(*layers)
        self.fuse = conv(channels, channels, 1)
        self.attention = from_factory("attention", attention, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the features ``x``."""
        return self.attention(self.fuse(x + self.branch(x)))
