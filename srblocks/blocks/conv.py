"""Convolutions that keep height and width."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from .._utils.compact_repr import CompactRepr
from .factories import Activation, activation, from_factory


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    bias: bool = True,
    groups: int = 1,
    dilation: int = 1,
    padding_mode: Literal["zeros", "reflect", "replicate"] = "zeros",
) -> nn.Conv2d:
    """Return a stride-1 convolution padded so that it keeps height and width.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: side of the square kernel, odd.
        bias: add a learned bias.
        groups: groups of the convolution; must divide both channel counts.
        dilation: spacing between the taps of the kernel.
        padding_mode: "zeros", or "reflect" or "replicate" to extend the image at its border.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1; with "reflect", H and W must exceed
        ``dilation * (kernel_size // 2)``.

    Raises:
        ValueError: `kernel_size` is even or negative, a channel count is below 1, `groups` does not divide the
            channels, or the `padding_mode` is unknown.

    Examples:
        >>> conv(3, 64, 9)
        Conv2d(3, 64, kernel_size=(9, 9), stride=(1, 1), padding=(4, 4))
    """
    if in_channels < 1 or out_channels < 1:
        raise ValueError(f"conv: channels must be >= 1, got {in_channels} in and {out_channels} out")
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(f"conv: groups must divide {in_channels} and {out_channels} channels, got groups={groups}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"conv: kernel_size must be odd and >= 1 to keep the size, got {kernel_size}")
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        bias=bias,
        groups=groups,
        padding_mode=padding_mode,
    )


class PreActivatedConv(CompactRepr, nn.Sequential):
    """Pre-activated convolution: ``conv(act(norm(x)))``.

    He et al., *Identity Mappings in Deep Residual Networks*, ECCV 2016, arXiv:1603.05027, Fig. 1b; the only kind of
    convolution in DRRN and MemNet.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: side of the square kernel, odd.
        norm: factory ``channels -> module`` of the normalization; None for no normalization.
        act: name or factory of the activation.
        bias: add a learned bias to the convolution.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Examples:
        >>> PreActivatedConv(1, 64)(torch.rand(1, 1, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        act: Activation = nn.ReLU,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm = from_factory("norm", norm, in_channels)
        self.act = activation(act)
        self.conv = conv(in_channels, out_channels, kernel_size, bias=bias)


class DepthwiseSeparableConv(nn.Sequential):
    """Depthwise separable convolution: one filter per channel, then a 1x1 convolution that mixes the channels.

    Howard et al., *MobileNets*, 2017, arXiv:1704.04861, section 3.1.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: side of the depthwise kernel, odd.
        bias: add a learned bias to the 1x1 convolution.
        dilation: spacing between the taps of the depthwise kernel.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Examples:
        >>> layer = DepthwiseSeparableConv(64, 128)
        >>> sum(p.numel() for p in layer.parameters()) == 64 * 9 + 64 * 128 + 128
        True
        >>> layer(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 128, 8, 8])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, *, bias: bool = True, dilation: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = conv(in_channels, in_channels, kernel_size, bias=False, groups=in_channels, dilation=dilation)
        self.pointwise = conv(in_channels, out_channels, 1, bias=bias)


class BlueprintSeparableConv(nn.Sequential):
    """Blueprint separable convolution: a 1x1 convolution, then one filter per channel (BSConv-U).

    Haase and Amthor, *Rethinking Depthwise Separable Convolutions: How Intra-Kernel Correlations Lead to Improved
    MobileNets*, CVPR 2020, arXiv:2003.13549, section 4.1: the reverse order of `DepthwiseSeparableConv`.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: side of the depthwise kernel, odd.
        pointwise_bias: add a learned bias to the 1x1 convolution, too; the zero padding comes after it.
        stride: stride of the depthwise convolution.
        padding: zero padding of the depthwise convolution; None for ``kernel_size // 2``, which keeps the size.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1, with the default stride and padding.

    Examples:
        >>> BlueprintSeparableConv(64, 32)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        pointwise_bias: bool = False,
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.pointwise = conv(in_channels, out_channels, 1, bias=pointwise_bias)
        self.depthwise = nn.Conv2d(
            out_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 if padding is None else padding,
            groups=out_channels,
        )
