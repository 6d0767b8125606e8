"""Channel attention and blocks that use it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingLibraryError
from .conv import conv
from .factories import Activation
from .residual import ResidualBlock


def _check_reduction(name: str, channels: int, reduction: int) -> None:
    if not 1 <= reduction <= channels:
        raise ValueError(f"{name}: reduction must be between 1 and channels={channels}, got {reduction}")


def timm_attention(name: str, **arguments: object) -> Callable[[int], nn.Module]:
    """Return a factory of a timm attention module, for the `attention` argument of `RCAB` and other blocks.

    Args:
        name: a name that ``timm.layers.create_attn`` accepts, such as "se", "ese", "eca", "cbam" or "gc".
        arguments: further arguments of the module.

    Returns:
        A factory ``channels -> module``.

    Raises:
        MissingLibraryError: timm is not installed.
        ValueError: timm has no attention module of that name.

    Examples:
        >>> RCAB(64, attention=timm_attention("eca"))(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """
    try:
        from timm.layers.create_attn import get_attn  # noqa: PLC0415 (optional dependency)
    except ImportError as error:
        raise MissingLibraryError("timm_attention needs timm", 'pip install "srblocks[timm]"') from error
    try:
        attention: Any = get_attn(name)
    except (AssertionError, KeyError, AttributeError) as error:
        raise ValueError(f"timm has no attention module {name!r}; see timm.layers.get_attn") from error
    return partial(attention, **arguments)


class ChannelAttention(nn.Module):
    """Channel attention: scale each channel by a gate in (0, 1) computed from the mean of every channel.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 3: ``x * sigmoid(W_U relu(W_D mean(x)))``.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio r; the hidden layer has ``channels // reduction`` channels (paper: r = 16).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1. The receptive field is global.

    Raises:
        ValueError: ``reduction`` is below 1 or above `channels`.

    Examples:
        >>> ChannelAttention(64, reduction=16)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        _check_reduction("ChannelAttention", channels, reduction)
        self.squeeze = conv(channels, channels // reduction, 1)
        self.act = nn.ReLU()
        self.excite = conv(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their channel gates."""
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """Return the channel gates (N, C, 1, 1) of the features ``x``."""
        mean = x.mean((2, 3), keepdim=True)
        return self.excite(self.act(self.squeeze(mean))).sigmoid()


class ContrastAwareAttention(ChannelAttention):
    """Contrast-aware channel attention (CCA): gates computed from the mean plus the standard deviation of each channel.

    Hui et al., *Lightweight Image Super-Resolution with Information Multi-distillation Network*, ACM MM 2019,
    arXiv:1909.11856, Fig. 4 and eq. (6). The standard deviation is that of the population. Differs from the authors'
    code: the gradient of a flat channel is zero instead of NaN.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio r; the hidden layer has ``channels // reduction`` channels (paper: r = 16).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1. The receptive field is global.

    Raises:
        ValueError: ``reduction`` is below 1 or above `channels`.

    Examples:
        >>> ContrastAwareAttention(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def gate(self, x: Tensor) -> Tensor:
        """Return the channel gates (N, C, 1, 1) of the features ``x``."""
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        smallest = 1e-7 if x.dtype == torch.float16 else 1e-30  # float16 rounds 1e-30 to 0
        contrast = torch.where(variance > smallest, variance, torch.ones_like(variance)).sqrt()
        contrast = torch.where(variance > smallest, contrast, torch.zeros_like(variance))
        return self.excite(self.act(self.squeeze(mean + contrast))).sigmoid()


class SecondOrderChannelAttention(nn.Module):
    """Second-order channel attention: gates computed from the square root of the channel covariance matrix.

    Dai et al., *Second-order Attention Network for Single Image Super-Resolution*, CVPR 2019, Fig. 3 and eq. (8) to
    (13) (SOCA). The matrix square root uses the Newton-Schulz iteration, which needs no eigendecomposition. Differs
    from the authors' code: feature maps of 1000 or more pixels per side are not cropped.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio r; the hidden layer has ``channels // reduction`` channels (paper: r = 16).
        iterations: Newton-Schulz steps, at least 2 (paper: 5).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1. The receptive field is global.

    Raises:
        ValueError: ``reduction`` is below 1 or above `channels`, or ``iterations < 2``.

    Examples:
        >>> SecondOrderChannelAttention(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, channels: int, *, reduction: int = 16, iterations: int = 5) -> None:
        super().__init__()
        _check_reduction("SecondOrderChannelAttention", channels, reduction)
        if iterations < 2:
            raise ValueError(f"SecondOrderChannelAttention: iterations must be >= 2, got {iterations}")
        self.squeeze = conv(channels, channels // reduction, 1)
        self.act = nn.ReLU()
        self.excite = conv(channels // reduction, channels, 1)
        self.iterations = iterations

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their channel gates."""
        pixels = x.flatten(2)
        centered = (pixels - pixels.mean(2, keepdim=True)) / 64  # so that sums over many pixels fit into half precision
        covariance = centered @ centered.transpose(1, 2) / (x.shape[2] * x.shape[3] / 64**2)
        mean = self._square_root(covariance).mean(1)[:, :, None, None]
        return x * self.excite(self.act(self.squeeze(mean))).sigmoid()

    def _square_root(self, covariance: Tensor) -> Tensor:
        """Return the Newton-Schulz square root of (N, C, C) matrices; zero for zero matrices."""
        identity = torch.eye(covariance.shape[1], dtype=covariance.dtype, device=covariance.device)
        three = 3 * identity
        # No `diagonal`: ONNX has none, and TensorRT rejects the identity of dynamic size that replaces it.
        smallest = 1e-7 if covariance.dtype == torch.float16 else 1e-30  # float16 rounds 1e-30 to 0
        trace = (covariance * identity).sum((1, 2), keepdim=True).clamp(min=smallest)
        a = covariance / trace
        z = 0.5 * (three - a)
        y = a @ z
        for _ in range(self.iterations - 2):
            step = 0.5 * (three - z @ y)
            y, z = y @ step, step @ z
        return 0.5 * y @ (three - z @ y) * trace.sqrt()

    def extra_repr(self) -> str:
        """Return the number of iterations."""
        return f"iterations={self.iterations}"


class RCAB(ResidualBlock):
    """Residual channel attention block: ``x + res_scale * CA(conv(act(conv(x))))``.

    Zhang et al., *Image Super-Resolution Using Very Deep Residual Channel Attention Networks*, ECCV 2018,
    arXiv:1807.02758, Fig. 4. Like the authors' code, it does not scale the residual by default.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio of the default attention (paper: 16).
        act: name or factory of the activation between the convolutions.
        attention: factory ``channels -> module`` that replaces the channel attention; `reduction` is then unused.
        res_scale: multiplier of the residual branch.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1.

    Raises:
        ValueError: ``reduction`` is below 1 or above `channels`.
        TypeError: a factory argument is a module instead of a factory.

    Examples:
        >>> RCAB(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        act: Activation = nn.ReLU,
        attention: Callable[[int], nn.Module] | None = None,
        res_scale: float = 1.0,
    ) -> None:
        if attention is None:
            attention = partial(ChannelAttention, reduction=reduction)
        super().__init__(channels, act=act, attention=attention, res_scale=res_scale)
