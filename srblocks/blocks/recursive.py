"""Recursive blocks: convolutions that run several times with shared weights, and modules that combine their outputs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._utils.compact_repr import CompactRepr
from .conv import PreActivatedConv, conv
from .factories import Activation, activation, from_factory


def add_skip(x: Tensor, *, skip: str, previous: Tensor, source: Tensor) -> Tensor:
    """Return the output ``x`` of one recursion plus its skip: the recursion's input, the block's input, or nothing."""
    if skip == "source":
        return x + source
    return x + previous if skip == "previous" else x


class RecursiveBlock(CompactRepr):
    """Recursive block: one unit of convolutions that runs several times with shared weights, ``x <- skip + unit(x)``.

    - DRCN's inference network (Kim et al., CVPR 2016, arXiv:1511.04491, Fig. 3): one post-activated convolution, no
      skip: ``depth=1, norm=None, pre_activation=False, skip="none"``.
    - DRRN's recursive block (Tai et al., CVPR 2017, Fig. 4): two pre-activated convolutions, skip from the block's
      input: the defaults.
    - MemNet's recursive unit (Tai et al., ICCV 2017, arXiv:1708.02209, Fig. 3): ``skip="previous"``.
    - MS-LapSRN's feature embedding (Lai et al., TPAMI 2018, arXiv:1710.01992, Fig. 4c): D convolutions, no
      normalization.

    Only the convolutions are shared: each recursion has its own normalizations, as in the authors' networks.

    Args:
        channels: feature channels C.
        recursions: number of times the unit runs.
        depth: convolutions in the unit.
        norm: factory ``channels -> module`` of the normalization of each convolution; None for no normalization.
        act: name or factory of the activation.
        bias: add learned biases to the convolutions.
        pre_activation: ``conv(act(norm(x)))`` instead of ``act(norm(conv(x)))``.
        skip: added after each recursion: "source" (the block's input), "previous" (the recursion's input) or "none".

    Shape:
        ``(N, C, H, W) -> (N, C, H, W)``, any H, W >= 1; `states` returns the output of every recursion.

    Raises:
        ValueError: unknown skip, ``recursions < 1`` or ``depth < 1``.
        TypeError: a factory argument is a module instead of a factory.

    Examples:
        >>> block = RecursiveBlock(16, recursions=9, norm=None)
        >>> sum(p.numel() for p in block.parameters()) == 2 * (16 * 16 * 9 + 16)
        True
        >>> block(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        recursions: int,
        depth: int = 2,
        norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        act: Activation = nn.ReLU,
        bias: bool = True,
        pre_activation: bool = True,
        skip: str = "source",
    ) -> None:
        super().__init__()
        if skip not in ("source", "previous", "none"):
            raise ValueError(f"RecursiveBlock: skip must be 'source', 'previous' or 'none', got {skip!r}")
        if recursions < 1 or depth < 1:
            raise ValueError(f"RecursiveBlock: recursions and depth must be >= 1, got {recursions} and {depth}")
        self.convs = nn.ModuleList(conv(channels, channels, bias=bias) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.ModuleList(from_factory("norm", norm, channels) for _ in range(depth)) for _ in range(recursions)
        )
        self.act = activation(act)
        self.pre_activation = pre_activation
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last recursion on the features ``x``."""
        return self._run(x, keep=False)[-1]

    def states(self, x: Tensor) -> list[Tensor]:
        """Return the output of every recursion, first to last."""
        return self._run(x, keep=True)

    def _run(self, x: Tensor, keep: bool) -> list[Tensor]:
        source = x
        outputs: list[Tensor] = []
        for norms in self.norms:
            y = x
            for norm, layer in zip(norms, self.convs):  # noqa: B905 (torch.jit.script) # pyright: ignore[reportArgumentType]
                y = layer(self.act(norm(y))) if self.pre_activation else self.act(norm(layer(y)))
            x = add_skip(y, skip=self.skip, previous=x, source=source)
            if not keep:
                outputs.clear()
            outputs.append(x)
        return outputs

    def extra_repr(self) -> str:
        """Return the number of recursions, the order of the layers and the skip."""
        return f"recursions={len(self.norms)}, pre_activation={self.pre_activation}, skip={self.skip!r}"


class MemoryBlock(nn.Module):
    """Memory block of MemNet: a recursive unit, and a gate unit over its outputs and all earlier memories.

    Tai et al., *MemNet: A Persistent Memory Network for Image Restoration*, ICCV 2017, arXiv:1708.02209, Fig. 3 and
    eq. (5) to (8): a 1x1 convolution gates the concatenation of the earlier memories and the recursions' outputs.

    Args:
        channels: feature channels C.
        memories: number M of earlier memories, including the block's input.
        recursions: number R of recursions of the recursive unit.
        norm: factory ``channels -> module`` of the normalizations; None for no normalization.
        bias: add learned biases to the convolutions.

    Shape:
        ``list of M tensors (N, C, H, W) -> (N, C, H, W)``, any H, W >= 1; the last tensor is the input of the
        recursive unit.

    Examples:
        >>> MemoryBlock(16, memories=2, recursions=3)([torch.rand(1, 16, 8, 8)] * 2).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        memories: int,
        recursions: int,
        norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.recursive = RecursiveBlock(channels, recursions=recursions, norm=norm, bias=bias, skip="previous")
        self.gate = PreActivatedConv((memories + recursions) * channels, channels, 1, norm=norm, bias=bias)

    def forward(self, memories: list[Tensor]) -> Tensor:
        """Return the next memory."""
        return self.gate(torch.cat(memories + self.recursive.states(memories[-1]), 1))


class LearnedAverage(nn.Module):
    """Learned average: weighted sum of tensors with learned scalar weights, initially ``1 / count``.

    Kim et al., *Deeply-Recursive Convolutional Network for Image Super-Resolution*, CVPR 2016, arXiv:1511.04491,
    eq. (5): the ensemble of the intermediate predictions.

    Args:
        count: number of tensors.
        normalized: divide by the sum of the weights.

    Shape:
        list of `count` tensors of one shape to that shape.

    Raises:
        ValueError: ``count < 1``.

    Examples:
        >>> LearnedAverage(2)([torch.zeros(1), torch.ones(1)])
        tensor([0.5000], grad_fn=<AddBackward0>)
    """

    def __init__(self, count: int, *, normalized: bool = False) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"LearnedAverage: count must be >= 1, got {count}")
        self.weight = nn.Parameter(torch.full((count,), 1 / count))
        self.normalized = normalized

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Average the tensors."""
        weight = self.weight / self.weight.sum() if self.normalized else self.weight
        average = weight[0] * tensors[0]
        for i in range(1, len(tensors)):
            average = average + weight[i] * tensors[i]
        return average

    def extra_repr(self) -> str:
        """Return the number of tensors and the normalization."""
        return f"count={len(self.weight)}, normalized={self.normalized}"


class DualStateUnit(nn.Module):
    """Dual-state unit: one step of a low- and a high-resolution state that exchange features.

    Han et al., *Image Super-Resolution via Dual-State Recurrent Networks*, CVPR 2018, arXiv:1805.02704, Fig. 4:
    ``low' = relu(low + F(low) + pool(high))``, ``high' = relu(high + G(high) + up(low))``, where F and G are two
    convolutions each.

    Args:
        channels: feature channels C of both states.
        up: module that upscales the C channels of the low-resolution state by `scale`.
        scale: scale factor of `up`; the high-resolution state is averaged over ``scale * scale`` pixels.

    Shape:
        ``low (N, C, H, W), high (N, C, scale * H, scale * W)`` to the same shapes, any H, W >= 1.

    Examples:
        >>> unit = DualStateUnit(8, nn.ConvTranspose2d(8, 8, 2, stride=2), scale=2)
        >>> low, high = unit(torch.rand(1, 8, 4, 5), torch.rand(1, 8, 8, 10))
        >>> low.shape, high.shape
        (torch.Size([1, 8, 4, 5]), torch.Size([1, 8, 8, 10]))
    """

    def __init__(self, channels: int, up: nn.Module, *, scale: int) -> None:
        super().__init__()
        self.low = nn.Sequential(conv(channels, channels), nn.ReLU(), conv(channels, channels))
        self.high = nn.Sequential(conv(channels, channels), nn.ReLU(), conv(channels, channels))
        self.up = up
        self.pool = nn.AvgPool2d(scale)
        self.act = nn.ReLU()

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next low- and high-resolution states."""
        next_low = self.act(low + self.low(low) + self.pool(high))
        return next_low, self.act(high + self.high(high) + self.up(low))

    def first(self, low: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states after the first step, before which there is no high-resolution state."""
        return self.act(low + self.low(low)), self.act(self.up(low))
