"""Non-local attention between pixels: within one scale, within regions, and across scales."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.compact_repr import CompactRepr
from .conv import conv
from .factories import Activation, activation, from_factory
from .residual import ResidualBlock


def _embedding(channels: int, out_channels: int, act: Activation | None) -> nn.Sequential:
    layers: list[nn.Module] = [conv(channels, out_channels, 1)]
    if act is not None:
        layers.append(activation(act))
    return nn.Sequential(*layers)


def _tokens(x: Tensor) -> Tensor:
    """Return (N, C, H, W) features as (N, H * W, C) tokens."""
    return x.flatten(2).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float, size: list[int]) -> Tensor:
    """Return the values weighted by ``softmax(scale * query . key)`` as a feature map of `size`."""
    heads = [tokens.unsqueeze(1) for tokens in (query, key, value)]
    found = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], scale=scale).squeeze(1)
    return found.transpose(1, 2).unflatten(2, size)


class NonLocal(CompactRepr):
    """Non-local block: every pixel averages the values of all pixels, weighted by the softmax of ``query . key``.

    Wang et al., *Non-local Neural Networks*, CVPR 2018, arXiv:1711.07971, Fig. 2 and eq. (1), embedded Gaussian. In SR
    it is the non-local block of SAN (`pool` of 2, with skip) and the in-scale attention of CSNLN (activated embeddings,
    no skip). Where torch can, the attention is computed without the (H W) x (H W) matrix.

    Args:
        channels: feature channels C.
        inner_channels: channels of queries and keys.
        value_channels: channels of the values; None for `inner_channels`.
        pool: max-pooling factor of keys and values.
        act: name or factory of an activation after each embedding; None for no activation.
        skip: project the result to C channels with a 1x1 convolution, initialized to zero, and add the input.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, or ``(N, value_channels, H, W)`` without `skip`; H, W >= `pool`.
        The receptive field is global; time grows with ``(H * W) ** 2``.

    Examples:
        >>> NonLocal(16, inner_channels=8, pool=2)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        inner_channels: int,
        value_channels: int | None = None,
        pool: int = 1,
        act: Activation | None = None,
        skip: bool = True,
    ) -> None:
        super().__init__()
        values = inner_channels if value_channels is None else value_channels
        self.query = _embedding(channels, inner_channels, act)
        self.key = _embedding(channels, inner_channels, act)
        self.value = _embedding(channels, values, act)
        self.pool = nn.MaxPool2d(pool) if pool > 1 else nn.Identity()
        self.skip = conv(values, channels, 1) if skip else None
        if self.skip is not None:
            nn.init.zeros_(self.skip.weight)
            nn.init.zeros_(self.skip.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """Attend over the features ``x``."""
        query, key, value = self.query(x), self.pool(self.key(x)), self.pool(self.value(x))
        y = _attend(_tokens(query), _tokens(key), _tokens(value), 1.0, [x.shape[2], x.shape[3]])
        return y if self.skip is None else x + self.skip(y)


class RegionNonLocal(nn.Module):
    """Region-level non-local block: a non-local block on each quarter of the feature map, with shared weights.

    Dai et al., *Second-order Attention Network for Single Image Super-Resolution*, CVPR 2019, section 3.3 (RL-NL).

    Args:
        non_local: module that maps features to features of the same size.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; the quarters meet at ``H // 2`` and ``W // 2``.

    Examples:
        >>> RegionNonLocal(NonLocal(16, inner_channels=8))(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(self, non_local: nn.Module) -> None:
        super().__init__()
        self.non_local = non_local

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on each quarter of the features ``x``."""
        h, w = x.shape[2] // 2, x.shape[3] // 2
        top = torch.cat((self.non_local(x[:, :, :h, :w]), self.non_local(x[:, :, :h, w:])), 3)
        bottom = torch.cat((self.non_local(x[:, :, h:, :w]), self.non_local(x[:, :, h:, w:])), 3)
        return torch.cat((top, bottom), 2)


class Patches(nn.Module):
    """Patch extraction: convolution with a fixed one-hot kernel; `fold` is its transpose.

    Equal to ``F.unfold`` and ``F.fold``, but built from operations that every export format supports.

    Args:
        channels: feature channels C.
        side: side k of a patch.
        stride: distance between patches.
        padding: zeros around the feature map.

    Shape:
        ``(N, C, H, W) -> (N, C * k * k, rows, columns)``; `fold` is the reverse.

    Examples:
        >>> patches, x = Patches(3, 3, padding=1), torch.rand(1, 3, 4, 5)
        >>> torch.equal(patches(x).flatten(2), F.unfold(x, 3, padding=1))
        True
    """

    if TYPE_CHECKING:
        kernel: Tensor

    def __init__(self, channels: int, side: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.padding = padding
        self.side = side
        self.register_buffer("kernel", self._one_hot().to(torch.empty(())), persistent=False)

    def _one_hot(self) -> Tensor:
        one_hot = torch.eye(self.side**2, device="cpu").unflatten(1, (1, self.side, self.side))
        return one_hot.repeat(self.channels, 1, 1, 1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; the kernel is not saved, so it is rebuilt (after ``to_empty``, too)."""
        super()._apply(fn, recurse)
        self.kernel = self._one_hot().to(self.kernel)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return the patches of ``x``: (N, C, H, W) to (N, C * k * k, rows, columns)."""
        return F.conv2d(x, self.kernel, stride=self.stride, padding=self.padding, groups=self.channels)

    def fold(self, x: Tensor) -> Tensor:
        """Return the sum of overlapping patches: the transpose of ``forward``."""
        return F.conv_transpose2d(x, self.kernel, stride=self.stride, padding=self.padding, groups=self.channels)

    def extra_repr(self) -> str:
        """Return the size and position of the patches."""
        return f"channels={self.channels}, side={self.side}, stride={self.stride}, padding={self.padding}"


class CrossScaleNonLocal(nn.Module):
    """Cross-scale non-local attention: upscale by aggregating matching patches of the same feature map.

    Mei et al., *Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars Mining*,
    CVPR 2020, arXiv:2006.01424, Fig. 3 and eq. (4) to (6): the 3x3 neighborhood of each pixel is compared with all 3x3
    neighborhoods of the downscaled map, and the ``3 s x 3 s`` patches of the map itself at these positions are summed.

    Args:
        channels: feature channels C.
        scale: scale factor s.
        reduction: queries and keys have ``channels // reduction`` channels.
        softmax_scale: factor of the similarities before the softmax.
        act: name or factory of the activation after each embedding.

    Shape:
        ``(N, C, H, W) -> (N, C, s * H, s * W)``, H and W multiples of s. The receptive field is global; time grows
        with ``(H * W) ** 2``.

    Examples:
        >>> CrossScaleNonLocal(8, 2)(torch.rand(1, 8, 6, 4)).shape
        torch.Size([1, 8, 12, 8])
    """

    def __init__(
        self,
        channels: int,
        scale: int,
        *,
        reduction: int = 2,
        softmax_scale: float = 10.0,
        act: Activation = nn.PReLU,
    ) -> None:
        super().__init__()
        inner = channels // reduction
        self.query = _embedding(channels, inner, act)
        self.key = _embedding(channels, inner, act)
        self.value = _embedding(channels, channels, act)
        self.surroundings = Patches(inner, 3, padding=1)
        self.exemplars = Patches(channels, 3 * scale, stride=scale, padding=scale)
        self.scale = scale
        self.softmax_scale = softmax_scale

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        h, w = x.shape[2], x.shape[3]
        downscaled = F.interpolate(x, size=[h // self.scale, w // self.scale], mode="bilinear")
        query = _tokens(self.surroundings(self.query(x)))
        key = _tokens(self.surroundings(self.key(downscaled)))
        # Clamp before the square root, whose gradient at zero is infinite; float16 rounds 1e-8 to 0.
        smallest = 1e-7 if key.dtype == torch.float16 else 1e-8
        key = key / key.square().sum(2, keepdim=True).clamp(min=smallest).sqrt()
        value = _tokens(self.exemplars(self.value(x)))
        found = _attend(query, key, value, self.softmax_scale, [h, w])
        # 3 x 3 patches overlap at each pixel; the authors divide by 6.
        return self.exemplars.fold(found) / 6

    def extra_repr(self) -> str:
        """Return the scale factor and the softmax scale."""
        return f"scale={self.scale}, softmax_scale={self.softmax_scale:g}"


class MultiSourceProjection(nn.Module):
    """Multi-branch projection: fuse in-scale and cross-scale attention into upscaled features.

    Mei et al., CVPR 2020, arXiv:2006.01424, Fig. 5: the in-scale attention is upscaled by a transposed convolution and
    corrected by a residual block on its difference to the cross-scale attention.

    Args:
        channels: feature channels C.
        scale: scale factor s, 2 or 3.
        up: factory ``channels -> module`` of the upsampler of the in-scale attention.

    Shape:
        ``(N, C, H, W) -> (N, C, s * H, s * W)``, H and W multiples of s.

    Examples:
        >>> layer = MultiSourceProjection(8, 2, up=lambda c: nn.ConvTranspose2d(c, c, 2, stride=2))
        >>> layer(torch.rand(1, 8, 6, 4)).shape
        torch.Size([1, 8, 12, 8])
    """

    def __init__(self, channels: int, scale: int, *, up: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.in_scale = NonLocal(
            channels, inner_channels=channels // 2, value_channels=channels, act=nn.PReLU, skip=False
        )
        self.cross_scale = CrossScaleNonLocal(channels, scale)
        self.up = from_factory("up", up, channels)
        self.correct = ResidualBlock(channels, act=nn.PReLU)

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        upscaled = self.up(self.in_scale(x))
        return upscaled + self.correct(self.cross_scale(x) - upscaled)
