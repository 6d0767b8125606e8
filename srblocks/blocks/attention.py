"""Attention over channels, and the blocks that carry it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .conv import conv
from .residual import ResidualBlock


def _check_reduction(name: str, channels: int, reduction: int) -> None:
    if not 1 <= reduction <= channels:
        raise ValueError(
            f"{name}: reduction={reduction} leaves no hidden channel of channels={channels}; "
            f"use 1 <= reduction <= {channels}"
        )


def timm_attention(name: str, **arguments: object) -> Callable[[int], nn.Module]:
    """Factory of any attention module of timm, for the `attention` slot of `RCAB` and its kin.

    Args:
        name: a name that ``timm.layers.create_attn`` knows, such as "se", "ese", "eca", "cbam" or "gc".
        arguments: further arguments of that module.

    Returns:
        A factory ``channels -> module``.

    Raises:
        ImportError: timm is not installed.
        ValueError: timm has no attention of that name.

    Example:
        >>> RCAB(64, attention=timm_attention("eca"))(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """
    try:
        from timm.layers.create_attn import get_attn  # noqa: PLC0415 (import srblocks is to stay light)
    except ImportError as error:
        raise ImportError('timm_attention needs timm; pip install "srblocks[timm]"') from error
    try:
        attention: Any = get_attn(name)
    except (AssertionError, KeyError, AttributeError) as error:
        raise ValueError(f"timm has no attention {name!r}; see timm.layers.get_attn") from error
    return partial(attention, **arguments)


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
        _check_reduction("ChannelAttention", channels, reduction)
        self.squeeze = conv(channels, channels // reduction, 1)
        self.act = nn.ReLU()
        self.excite = conv(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their channels' gates."""
        return x * self.gate(x)

    def gate(self, x: Tensor) -> Tensor:
        """Give the channels' gates (N, C, 1, 1) for the features ``x``."""
        mean = x.mean((2, 3), keepdim=True)
        return self.excite(self.act(self.squeeze(mean))).sigmoid()


class SecondOrderChannelAttention(nn.Module):
    """Scale each channel by a gate in (0, 1) that is computed from the square root of the channels' covariance.

    Dai et al., *Second-order Attention Network for Single Image Super-Resolution*, CVPR 2019, Fig. 3 and eq. (8) to
    (13) (SOCA). The covariance is the product of the centerd features, C x C; its square root comes from Newton and
    Schulz's iteration, which needs no decomposition. Differs from the authors' code: maps of 1000 pixels or more per
    side are not cropped.

    Args:
        channels: feature channels C.
        reduction: squeeze ratio r; the hidden layer has ``channels // reduction`` channels (paper: r = 16).
        iterations: steps of the iteration, 2 or more (paper: 5).

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1. The receptive field is global.

    Raises:
        ValueError: ``reduction`` leaves no hidden channel, or too few iterations.

    Example:
        >>> SecondOrderChannelAttention(64)(torch.rand(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(self, channels: int, *, reduction: int = 16, iterations: int = 5) -> None:
        super().__init__()
        _check_reduction("SecondOrderChannelAttention", channels, reduction)
        if iterations < 2:
            raise ValueError(f"SecondOrderChannelAttention: iterations={iterations}; use 2 or more")
        self.squeeze = conv(channels, channels // reduction, 1)
        self.act = nn.ReLU()
        self.excite = conv(channels // reduction, channels, 1)
        self.iterations = iterations

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the features ``x`` by their channels' gates."""
        pixels = x.flatten(2)
        centerd = (pixels - pixels.mean(2, keepdim=True)) / 64  # so that sums over many pixels fit into half precision
        root = self._root(centerd @ centerd.transpose(1, 2) / (x.shape[2] * x.shape[3] / 64**2))
        mean = root.mean(1)[:, :, None, None]
        return x * self.excite(self.act(self.squeeze(mean))).sigmoid()

    def _root(self, covariance: Tensor) -> Tensor:
        """Newton-Schulz square root of (N, C, C) matrices; zero for zero."""
        identity = torch.eye(covariance.shape[1], dtype=covariance.dtype, device=covariance.device)
        three = 3 * identity
        # Not by `diagonal`: ONNX has none, and TensorRT does not take the identity of a dynamic size in its place.
        least = 1e-7 if covariance.dtype == torch.float16 else 1e-30  # of which float16 makes 0
        trace = (covariance * identity).sum((1, 2), keepdim=True).clamp(min=least)
        a = covariance / trace
        z = 0.5 * (three - a)
        y = a @ z
        for _ in range(self.iterations - 2):
            step = 0.5 * (three - z @ y)
            y, z = y @ step, step @ z
        return 0.5 * y @ (three - z @ y) * trace.sqrt()


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
