"""Building blocks of the rewrites: convolutions with given weights, and convolution plus cropped pixel shuffle."""

from torch import Tensor, nn
from torch.nn import functional as F


def convolution(
    weight: Tensor,
    bias: Tensor | None,
    *,
    like: Tensor,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> nn.Conv2d:
    """Return a convolution with the given weights, with the dtype and on the device of the tensor `like`."""
    conv = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride=stride,  # pyright: ignore[reportArgumentType]
        padding=padding,  # pyright: ignore[reportArgumentType]
        dilation=dilation,  # pyright: ignore[reportArgumentType]
        groups=groups,
        bias=bias is not None,
        padding_mode=padding_mode,  # pyright: ignore[reportArgumentType]
        device=like.device,
        dtype=like.dtype,
    )
    conv.weight.copy_(weight)
    if bias is not None and conv.bias is not None:
        conv.bias.copy_(bias)
    return conv


def with_weights(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return a copy of `conv` with other weights."""
    return convolution(
        weight,
        bias,
        like=conv.weight,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        padding_mode=conv.padding_mode,
    )


def weight_and_bias(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution; zeros if it has no bias."""
    return conv.weight, conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias


class ShiftedShuffle(nn.Module):
    """Convolution and pixel shuffle, cropped to the image.

    Args:
        conv: the convolution; its output is larger than its input.
        stride: upscaling factor per side.
        crop: rows and columns to drop at the top and left; the surplus at the bottom and right is dropped as well.

    Shape:
        ``(N, C, H, W) -> (N, out_channels, stride * H, stride * W)``
    """

    def __init__(self, conv: nn.Conv2d, stride: int, crop: int) -> None:
        super().__init__()
        self.conv = conv
        self.stride = stride
        self.crop = crop
        self.surplus = stride * (conv.kernel_size[0] - 1) - crop

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        x = F.pixel_shuffle(self.conv(x), self.stride)
        return x[:, :, self.crop : -self.surplus, self.crop : -self.surplus]
