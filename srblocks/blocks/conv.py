"""Convolutions that keep the size of their input."""

from collections.abc import Callable
from typing import Literal

from torch import nn


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
    """Padded convolution with stride 1 that keeps height and width.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel, odd.
        bias: add a learned bias.
        groups: groups of the convolution; divides both channel counts.
        dilation: distance between the taps of the kernel.
        padding_mode: "zeros", or "reflect" or "replicate" to continue the image over its border.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1; with reflection H and W must exceed
        ``dilation * (kernel_size // 2)``.

    Raises:
        ValueError: ``kernel_size`` is negative, or even, so that no symmetric padding keeps the size, or no channels
            are left, or ``groups`` does not divide them, or an unknown ``padding_mode``.

    Example:
        >>> conv(3, 64, 9)
        Conv2d(3, 64, kernel_size=(9, 9), stride=(1, 1), padding=(4, 4))
    """
    if in_channels < 1 or out_channels < 1:
        raise ValueError(f"conv: {in_channels} to {out_channels} channels; use 1 or more")
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"conv: groups={groups} does not divide {in_channels} to {out_channels} channels; use a divisor of both"
        )
    if kernel_size % 2 == 0:
        raise ValueError(f"conv: kernel_size={kernel_size} is even; a convolution that keeps the size needs an odd one")
    if kernel_size < 1:
        raise ValueError(f"conv: kernel_size={kernel_size}; use an odd number from 1 on")
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


class PreActivatedConv(nn.Sequential):
    """Normalization, activation, convolution: ``conv(act(norm(x)))``.

    He et al., *Identity Mappings in Deep Residual Networks*, ECCV 2016, arXiv:1603.05027, Fig. 1b; the only kind of
    convolution in DRRN and MemNet.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel, odd.
        norm: factory ``channels -> module`` of the normalization; None for none.
        act: factory of the activation.
        bias: the convolution has a bias.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Example:
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
        act: Callable[[], nn.Module] = nn.ReLU,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm = norm(in_channels) if norm else nn.Identity()
        self.act = act()
        self.conv = conv(in_channels, out_channels, kernel_size, bias=bias)


class DepthwiseSeparableConv(nn.Sequential):
    """One filter per channel, then a 1x1 convolution that mixes the channels.

    Howard et al., *MobileNets*, 2017, arXiv:1704.04861, section 3.1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the depthwise kernel, odd.
        bias: the 1x1 convolution has a bias.
        dilation: distance between the taps of the depthwise kernel.

    Shape:
        ``(N, in_channels, H, W) -> (N, out_channels, H, W)``, any H, W >= 1.

    Example:
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
