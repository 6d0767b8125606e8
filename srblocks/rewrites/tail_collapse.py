"""Collapse convolutions and pixel shuffles with nothing in between into one convolution and one pixel shuffle.

The tail of EDSR and similar networks, ``conv -> shuffle [-> conv -> shuffle] -> conv``, is linear. One low-resolution
convolution therefore computes all ``scale**2`` pixels of each position, and the widest feature maps are never
allocated. Each convolution of the tail zero-pads its own input, also after a shuffle. This affects only the outermost
row and column of the result, so nine kernels, one per way in which a position touches the border, make it exact.

Conv-conv pairs at one resolution are collapsed at training time by Bhardwaj et al., *Collapsible Linear Blocks for
Super-Efficient Super Resolution* (SESR), MLSys 2022, arXiv:2103.09404.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.rounding import round_up
from ..network import Network
from .context import ModuleRef, RewriteContext
from .convolutions import convolution
from .matching import is_exactly, record_shapes

NAME = "tail_collapse"
_BATCH = 64
"""Number of outputs whose kernels are read at a time."""

MIN_SIZE = 4
"""Smallest H and W of a collapsed tail: torch.export specializes on inner parts of zero rows or one row."""


class CollapsedTail(nn.Module):
    """One convolution with separate kernels for border rows and columns, and one pixel shuffle.

    Args:
        tail: the linear modules to replace.
        channels: number of input channels.
        scale: upscaling factor per side.
        radius: radius of the kernels.
        like: tensor with the dtype and device to use.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, H, W >= `MIN_SIZE` and > `radius`.
    """

    def __init__(self, tail: nn.Sequential, channels: int, *, scale: int, radius: int, like: Tensor) -> None:
        super().__init__()
        weights, biases = _responses(tail, channels, scale=scale, radius=radius, border=True)
        taps = (slice(0, radius + 1), slice(0, 2 * radius + 1), slice(radius, 2 * radius + 1))
        bands: list[_Band] = []
        for i, rows in enumerate(taps):
            convs: list[nn.Conv2d] = []
            for j, columns in enumerate(taps):
                padding = (radius if i == 1 else 0, radius if j == 1 else 0)
                convs.append(convolution(weights[i, j][..., rows, columns], biases[i, j], like=like, padding=padding))
            bands.append(_Band(convs, radius + 1))
        self.first, self.inner, self.last = bands
        self.scale = scale
        self.border_size = radius + 1

    def forward(self, x: Tensor) -> Tensor:
        """Upscale the features ``x``."""
        first, last = self.first(x[:, :, : self.border_size]), self.last(x[:, :, -self.border_size :])
        return F.pixel_shuffle(torch.cat((first, self.inner(x)[:, :, 1:-1], last), 2), self.scale)


class _Band(nn.Module):
    """The convolutions of the first, the inner and the last columns of a band of rows.

    Args:
        convs: the three convolutions.
        border_size: number of columns that the first and the last convolution read.
    """

    def __init__(self, convs: Sequence[nn.Conv2d], border_size: int) -> None:
        super().__init__()
        self.first, self.inner, self.last = convs
        self.border_size = border_size

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.first(x[..., : self.border_size]), self.last(x[..., -self.border_size :])
        return torch.cat((first, self.inner(x)[..., 1:-1], last), 3)


@dataclass(frozen=True)
class _Cost:
    """Geometry and savings of a collapsed run of modules.

    Attributes:
        scale: upscaling factor per side.
        radius: radius of the collapsed kernel.
        border: number of outermost rows and columns that differ from the inner ones.
        saved: multiplications per input position that collapsing saves.
    """

    scale: int
    radius: int
    border: int
    saved: int


def rewrite(context: RewriteContext) -> None:
    """Collapse the part of every linear run that saves most."""
    for slots in context.sequential_slots():
        for run in [list(run) for linear, run in groupby(slots, lambda ref: _is_linear(ref.module)) if linear]:
            convs = [i for i, ref in enumerate(run) if isinstance(ref.module, nn.Conv2d)]
            tails = [(run[i : j + 1], _cost(_modules(run[i : j + 1]))) for i in convs for j in convs if i < j]
            tails = [(refs, cost) for refs, cost in tails if cost.scale > 1]
            if tails:
                _collapse(context, *max(tails, key=lambda tail: (tail[1].border <= 1, tail[1].saved)))


def _collapse(context: RewriteContext, refs: Sequence[ModuleRef], cost: _Cost) -> None:
    path, net = refs[0].path, context.net
    rows = max(MIN_SIZE, cost.radius + 1)
    side = round_up(max(net.min_size, rows), net.size_multiple)
    if cost.border > 1:
        context.declined(NAME, path, f"its padding affects {cost.border} border rows; at most one is supported")
    elif cost.saved <= 0:
        context.declined(NAME, path, "one kernel would cost more multiplications than the separate layers")
    elif cost.border and context.min_size is not None and context.min_size < side:
        context.declined(NAME, path, f"it needs images of {side}x{side}, but min_size={context.min_size} is required")
    elif cost.border and _min_feature_size(net, path, side) < rows:
        context.declined(NAME, path, f"its features can have fewer than {rows} rows or columns")
    else:
        new = _collapsed(_modules(refs))
        for ref in refs:
            ref.replace(nn.Identity())
        refs[0].replace(new)
        for module in net.modules() if cost.border else ():
            if isinstance(module, Network):
                module.min_size = max(module.min_size, side)
        size = 2 * cost.radius + 1
        border = "with border kernels" if cost.border else "with zero padding"
        context.applied(NAME, path, f"one {size}x{size} convolution {border} and one pixel shuffle x{cost.scale}")


def _modules(refs: Sequence[ModuleRef]) -> list[nn.Module]:
    return [ref.module for ref in refs]


def _min_feature_size(net: Network, path: str, side: int) -> int:
    """Return the smallest H or W of the input of the module at `path` for images of this side; 0 if unknown."""
    shapes = record_shapes(net, side)
    return min(shapes[path][0][2:]) if path in shapes else 0


def _collapsed(modules: Sequence[nn.Module]) -> nn.Module:
    """Collapse from the end, step by step, so that the kernels are never read through the widest feature maps.

    A step is a convolution and the modules after it, up to the next convolution after a shuffle. A step whose border is
    wider than one row of its own input has no nine kernels; it is read together with the step before it.
    """
    after_shuffle = [i for i in range(1, len(modules)) if _is_shuffle(modules[i - 1]) and not _is_shuffle(modules[i])]
    end = len(modules)
    tail: list[nn.Module] = []
    for start in reversed([0, *after_shuffle[:-1]]):
        tail = [*modules[start:end], *tail]
        end = start
        conv, cost = tail[0], _cost(modules[start:])
        assert isinstance(conv, nn.Conv2d)
        if cost.border <= 1:
            tail = [_kernel(nn.Sequential(*tail), conv.in_channels, cost, like=conv.weight)]
    return tail[0]


def _is_shuffle(module: nn.Module) -> bool:
    return isinstance(module, nn.PixelShuffle)


def _kernel(tail: nn.Sequential, channels: int, cost: _Cost, *, like: Tensor) -> nn.Module:
    if cost.border:
        return CollapsedTail(tail, channels, scale=cost.scale, radius=cost.radius, like=like)
    weights, biases = _responses(tail, channels, scale=cost.scale, radius=cost.radius, border=False)
    conv = convolution(weights[0, 0], biases[0, 0], like=like, padding=cost.radius)
    return nn.Sequential(conv, nn.PixelShuffle(cost.scale))


def _is_linear(module: nn.Module) -> bool:
    if not is_exactly(module, nn.Conv2d):
        return is_exactly(module, nn.PixelShuffle)
    size = module.kernel_size[0]
    keeps_size = module.kernel_size == (size, size) and module.padding == (size // 2, size // 2) and size % 2 == 1
    return keeps_size and module.stride == module.dilation == (1, 1) and module.padding_mode == "zeros"


def _cost(modules: Sequence[nn.Module]) -> _Cost:
    """Trace the output pixels of one position back through the modules."""
    steps = [_radius_and_factor(module) for module in modules]
    scale = math.prod(factor for _, factor in steps)
    low, high = 0, scale - 1
    for radius, factor in reversed(steps):
        low, high = low // factor - radius, high // factor + radius
    total_radius = max(-low, high)
    border = 0
    while _depends_on_padding(steps[1:], border * scale):
        border += 1
    factor_so_far, cost = 1, 0
    for module, (_, factor) in zip(modules, steps, strict=True):
        if isinstance(module, nn.Conv2d):
            cost += module.weight.numel() * factor_so_far**2
        factor_so_far *= factor
    first, last = modules[0], modules[-1]
    assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
    collapsed = first.in_channels * last.out_channels * scale**2 * (2 * total_radius + 1) ** 2
    return _Cost(scale, total_radius, border, cost - collapsed)


def _radius_and_factor(module: nn.Module) -> tuple[int, int]:
    """Return the kernel radius of a convolution and the upscaling factor of a pixel shuffle."""
    if isinstance(module, nn.PixelShuffle):
        return 0, module.upscale_factor
    assert isinstance(module, nn.Conv2d)
    return module.kernel_size[0] // 2, 1


def _depends_on_padding(steps: Sequence[tuple[int, int]], row: int) -> bool:
    """Return whether an output row depends on the padding of the convolutions in `steps`."""
    for radius, factor in reversed(steps):
        row = row // factor - radius
        if row < 0:
            return True
    return False


def _responses(tail: nn.Sequential, channels: int, *, scale: int, radius: int, border: bool) -> tuple[Tensor, Tensor]:
    """Compute the kernels and biases of linear modules from a feature map of size = 2 * radius + 1.

    Returns:
        Kernels (P, P, out_channels * scale**2, channels, size, size) and biases (P, P, out_channels * scale**2);
        P = 3 with `border` (first, inner and last row and column), else P = 1 (inner).
    """
    size = 2 * radius + 1
    positions_kept = slice(None, None, radius) if border else slice(radius, radius + 1)
    with torch.enable_grad():
        lr = next(tail.parameters()).new_zeros(1, channels, size, size).requires_grad_()
        positions = F.pixel_unshuffle(tail(lr), scale)[0, :, positions_kept, positions_kept]
        shape = positions.permute(1, 2, 0).shape
        outputs = rearrange(positions, "o p q -> (p q o)")
        batches = torch.eye(len(outputs)).to(outputs).split(_BATCH)
        rows = [
            torch.autograd.grad(outputs, lr, batch, retain_graph=True, is_grads_batched=True)[0] for batch in batches
        ]
    return torch.cat(rows).reshape(*shape, channels, size, size), outputs.detach().reshape(shape)
