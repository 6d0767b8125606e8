"""Attention between pixels: inside one scale, inside regions, and across scales."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import conv
from .residual import ResidualBlock


def _tokens(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def _gather(query: Tensor, key: Tensor, value: Tensor, scale: float, size: list[int]) -> Tensor:
    """Values weighted by ``softmax(scale * query . key)``, as a map of that size."""
    heads = [tokens.unsqueeze(1) for tokens in (query, key, value)]
    found = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], scale=scale).squeeze(1)
    return found.transpose(1, 2).unflatten(2, size)


class NonLocal(nn.Module):
    """Every pixel gathers the values of all pixels, weighted by the softmax of ``query . key``.

    Wang et al., *Non-local Neural Networks*, CVPR 2018, arXiv:1711.07971, Fig. 2 and eq. (1) with the embedded
    Gaussian; in SR the block of SAN (`pool` of 2, with skip) and CSNLN's in-scale attention (activated embeddings,
    without). The attention is computed without the (H W) x (H W) matrix where torch can.

    Args:
        channels: feature channels C.
        inner_channels: channels of queries and keys.
        value_channels: channels of the values; None for `inner_channels`.
        pool: keys and values are max-pooled by this factor.
        act: factory of an activation after each embedding; None for none.
        skip: bring the values back to C channels by a 1x1 convolution, which starts at zero, and add the input.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, or ``(N, value_channels, H, W)`` without `skip`; H, W >= `pool`.
        The receptive field is global; time grows with ``(H * W) ** 2``.

    Example:
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
        act: Callable[[], nn.Module] | None = None,
        skip: bool = True,
    ) -> None:
        super().__init__()
        values = inner_channels if value_channels is None else value_channels
        activation: Callable[[], nn.Module] = act or nn.Identity
        self.query = nn.Sequential(conv(channels, inner_channels, 1), activation())
        self.key = nn.Sequential(conv(channels, inner_channels, 1), activation())
        self.value = nn.Sequential(conv(channels, values, 1), activation())
        self.pool = nn.MaxPool2d(pool) if pool > 1 else nn.Identity()
        self.skip = conv(values, channels, 1) if skip else None
        if self.skip is not None:
            nn.init.zeros_(self.skip.weight)
            nn.init.zeros_(self.skip.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """Gather over the features ``x``."""
        query, key, value = self.query(x), self.pool(self.key(x)), self.pool(self.value(x))
        y = _gather(_tokens(query), _tokens(key), _tokens(value), 1.0, [x.shape[2], x.shape[3]])
        return y if self.skip is None else x + self.skip(y)


class RegionNonLocal(nn.Module):
    """A non-local module on each quarter of the features, with the same weights.

    Dai et al., *Second-order Attention Network for Single Image Super-Resolution*, CVPR 2019, section 3.3 (RL-NL).

    Args:
        non_local: module features to features of the same size.

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``; the quarters meet at ``H // 2`` and ``W // 2``.

    Example:
        >>> RegionNonLocal(NonLocal(16, inner_channels=8))(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(self, non_local: nn.Module) -> None:
        super().__init__()
        self.non_local = non_local

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on the quarters of the features ``x``."""
        h, w = x.shape[2] // 2, x.shape[3] // 2
        top = torch.cat((self.non_local(x[:, :, :h, :w]), self.non_local(x[:, :, :h, w:])), 3)
        bottom = torch.cat((self.non_local(x[:, :, h:, :w]), self.non_local(x[:, :, h:, w:])), 3)
        return torch.cat((top, bottom), 2)


class Patches(nn.Module):
    """Patches of a feature map as channels, and back: a convolution with a fixed one-hot kernel and its transpose.

    The same as ``F.unfold`` and ``F.fold``, in operations that every export format takes.

    Args:
        channels: feature channels C.
        side: side k of a patch.
        stride: distance between patches.
        padding: zeros around the map.

    Shape:
        ``(N, C, H, W) -> (N, C * k * k, rows, columns)``; `paste` gives the map's shape back.

    Example:
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
        one_hot = rearrange(torch.eye(self.side**2, device="cpu"), "out (h w) -> out 1 h w", h=self.side)
        return repeat(one_hot, "out 1 h w -> (c out) 1 h w", c=self.channels)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Convert the module; no file holds the kernel, so that it is made anew behind ``to_empty`` too."""
        super()._apply(fn, recurse)
        self.kernel = self._one_hot().to(self.kernel)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Give the patches of ``x``: (N, C, H, W) to (N, C * k * k, rows, columns)."""
        return F.conv2d(x, self.kernel, stride=self.stride, padding=self.padding, groups=self.channels)

    def paste(self, x: Tensor) -> Tensor:
        """Add patches up where they came from: the transpose of ``forward``."""
        return F.conv_transpose2d(x, self.kernel, stride=self.stride, padding=self.padding, groups=self.channels)


class CrossScaleNonLocal(nn.Module):
    """Enlarge by pasting patches of the map itself that look alike when it is reduced.

    Mei et al., *Image Super-Resolution with Cross-Scale Non-Local Attention and Exhaustive Self-Exemplars Mining*,
    CVPR 2020, arXiv:2006.01424, Fig. 3 and eq. (4) to (6): the 3x3 surroundings of a pixel are compared with those of
    all pixels of the reduced map, and the ``3 s x 3 s`` patches of the map itself at these places are pasted.

    Args:
        channels: feature channels C.
        scale: enlargement s per side.
        reduction: queries and keys have ``channels // reduction`` channels.
        softmax_scale: factor of the similarities before the softmax.
        act: factory of the activation after each embedding.

    Shape:
        ``(N, C, H, W) -> (N, C, s * H, s * W)``, H and W multiples of s. The receptive field is global; time grows
        with ``(H * W) ** 2``.

    Example:
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
        act: Callable[[], nn.Module] = nn.PReLU,
    ) -> None:
        super().__init__()
        inner = channels // reduction
        self.query = nn.Sequential(conv(channels, inner, 1), act())
        self.key = nn.Sequential(conv(channels, inner, 1), act())
        self.value = nn.Sequential(conv(channels, channels, 1), act())
        self.surroundings = Patches(inner, 3, padding=1)
        self.exemplars = Patches(channels, 3 * scale, stride=scale, padding=scale)
        self.scale = scale
        self.softmax_scale = softmax_scale

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge the features ``x``."""
        h, w = x.shape[2], x.shape[3]
        reduced = F.interpolate(x, size=[h // self.scale, w // self.scale], mode="bilinear")
        query = _tokens(self.surroundings(self.query(x)))
        key = _tokens(self.surroundings(self.key(reduced)))
        # Bounded ahead of the root, whose gradient at zero is infinite; float16 makes 0 of 1e-8.
        least = 1e-7 if key.dtype == torch.float16 else 1e-8
        key = key / key.square().sum(2, keepdim=True).clamp(min=least).sqrt()
        value = _tokens(self.exemplars(self.value(x)))
        found = _gather(query, key, value, self.softmax_scale, [h, w])
        # 3 x 3 patches lie over a pixel; the authors divide by 6.
        return self.exemplars.paste(found) / 6


class MultiSourceProjection(nn.Module):
    """Fuse what the map's own scale and what its other scales say about its enlargement.

    Mei et al., CVPR 2020, arXiv:2006.01424, Fig. 5: the in-scale attention is enlarged by a transposed convolution;
    a residual block on the difference to the cross-scale attention corrects it.

    Args:
        channels: feature channels C.
        scale: enlargement s per side, 2 or 3.
        up: factory ``channels -> module`` of the enlargement of the in-scale attention.

    Shape:
        ``(N, C, H, W) -> (N, C, s * H, s * W)``, H and W multiples of s.

    Example:
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
        self.up = up(channels)
        self.correct = ResidualBlock(channels, act=nn.PReLU)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge the features ``x``."""
        enlarged = self.up(self.in_scale(x))
        return enlarged + self.correct(self.cross_scale(x) - enlarged)
