"""Upsampling with transposed convolutions."""

from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from ..blocks.factories import Activation, activation
from .scale import check_scale


class DeconvUp(CompactRepr):
    """Transposed convolution whose output is exactly `scale` times as large as its input.

    Surplus rows and columns are cropped at the bottom and right, as MatConvNet does in LapSRN's layers; missing ones
    are added there by ``output_padding``, as in FSRCNN (Dong et al., ECCV 2016, arXiv:1608.00367).

    Args:
        channels: input channels.
        scale: scale factor and stride, an integer >= 2.
        out_channels: output channels; None for `channels`.
        kernel_size: side of the kernel; None for ``2 * scale``.
        padding: rows and columns dropped on every side; None to center the kernel.
        bias: add a learned bias.
        groups: groups of the convolution; ``channels`` makes it depthwise.
        act: name or factory of an activation after the convolution; None for no activation.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, any H, W >= 1.

    Raises:
        ValueError: `scale` is not an integer >= 2, or the kernel is too small for this scale and padding.

    Examples:
        >>> DeconvUp(64, 2, kernel_size=3, padding=0)(torch.rand(1, 64, 5, 7)).shape
        torch.Size([1, 64, 10, 14])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        out_channels: int | None = None,
        kernel_size: int | None = None,
        padding: int | None = None,
        bias: bool = True,
        groups: int = 1,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        check_scale(scale)
        kernel = 2 * scale if kernel_size is None else kernel_size
        pad = max(0, kernel - scale + 1) // 2 if padding is None else padding
        missing = scale - kernel + 2 * pad
        if kernel < scale or pad < 0 or missing >= scale:
            raise ValueError(
                f"DeconvUp: scale={scale} with padding={pad} needs kernel_size >= {max(scale, 2 * pad + 1)} and "
                f"padding >= 0, got kernel_size={kernel}"
            )
        self.excess = max(0, -missing)
        self.deconv = nn.ConvTranspose2d(
            channels,
            channels if out_channels is None else out_channels,
            kernel,
            stride=scale,
            padding=pad,
            output_padding=max(0, missing),
            bias=bias,
            groups=groups,
        )
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        x = self.deconv(x)
        if self.excess > 0:
            x = x[:, :, : -self.excess, : -self.excess]
        return self.act(x)

    def extra_repr(self) -> str:
        """Return the number of cropped rows and columns, if there are any."""
        return f"excess={self.excess}" if self.excess else ""
