"""Convolutions and pixel shuffles without anything between become one convolution and one pixel shuffle.

The tail of EDSR and its kin, ``conv -> shuffle [-> conv -> shuffle] -> conv``, is linear, so that one low-resolution
convolution gives all ``scale**2`` pixels of each position; the widest maps are never made. Each convolution of the tail
pads its own input with zeros, also behind a shuffle. That changes the outermost row and column of the result alone,
so nine kernels, one for each way in which a position touches the border, make it exact.

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

from ..network import Network
from .context import ModuleRef, RewriteContext, is_exactly, record_shapes
from .convolutions import convolution

NAME = "tail_collapse"
_BATCH = 64
"""Outputs whose kernels are read at a time."""

SMALLEST = 4
"""H and W from which a collapsed tail works: torch.export specializes on inner parts of no or a single row."""


class CollapsedTail(nn.Module):
    """One convolution with kernels of their own for border rows and columns, and one pixel shuffle.

    Args:
        tail: the linear modules that it replaces.
        channels: channels of the input.
        scale: enlargement per side.
        reach: rows and columns that an output looks away from its own, the radius of the kernels.
        like: gives precision and device.

    Shape:
        ``(N, channels, H, W) -> (N, out_channels, scale * H, scale * W)``, H, W >= `SMALLEST` and above `reach`.
    """

    def __init__(self, tail: nn.Sequential, channels: int, *, scale: int, reach: int, like: Tensor) -> None:
        super().__init__()
        weights, biases = _responses(tail, channels, scale=scale, reach=reach, border=True)
        seen = (slice(0, reach + 1), slice(0, 2 * reach + 1), slice(reach, 2 * reach + 1))
        bands: list[_Band] = []
        for i, rows in enumerate(seen):
            convs: list[nn.Conv2d] = []
            for j, columns in enumerate(seen):
                padding = (reach if i == 1 else 0, reach if j == 1 else 0)
                convs.append(convolution(weights[i, j][..., rows, columns], biases[i, j], like=like, padding=padding))
            bands.append(_Band(convs, reach + 1))
        self.first, self.inner, self.last = bands
        self.scale = scale
        self.seen = reach + 1

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge the features ``x``."""
        first, last = self.first(x[:, :, : self.seen]), self.last(x[:, :, -self.seen :])
        return F.pixel_shuffle(torch.cat((first, self.inner(x)[:, :, 1:-1], last), 2), self.scale)


class _Band(nn.Module):
    """The convolutions of the first, the inner and the last columns of a band of rows.

    Args:
        convs: the three convolutions.
        seen: columns that the first and the last one see.
    """

    def __init__(self, convs: Sequence[nn.Conv2d], seen: int) -> None:
        super().__init__()
        self.first, self.inner, self.last = convs
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.first(x[..., : self.seen]), self.last(x[..., -self.seen :])
        return torch.cat((first, self.inner(x)[..., 1:-1], last), 3)


@dataclass(frozen=True)
class _Cost:
    """What collapsing a run of modules would take.

    Attributes:
        scale: enlargement per side.
        reach: radius of the collapsed kernel.
        border: outermost rows and columns that differ from the inner ones.
        saved: multiplications per input position that collapsing saves.
    """

    scale: int
    reach: int
    border: int
    saved: int


def rewrite(bench: RewriteContext) -> None:
    """Collapse the part of every linear run that saves most."""
    for chain in bench.sequential_slots():
        for run in [list(run) for linear, run in groupby(chain, lambda site: _is_linear(site.module)) if linear]:
            convs = [i for i, site in enumerate(run) if isinstance(site.module, nn.Conv2d)]
            tails = [(run[i : j + 1], _cost(_modules(run[i : j + 1]))) for i in convs for j in convs if i < j]
            tails = [(sites, cost) for sites, cost in tails if cost.scale > 1]
            if tails:
                _collapse(bench, *max(tails, key=lambda tail: (tail[1].border <= 1, tail[1].saved)))


def _collapse(bench: RewriteContext, sites: Sequence[ModuleRef], cost: _Cost) -> None:
    path, net = sites[0].path, bench.net
    rows = max(SMALLEST, cost.reach + 1)
    side = -(-max(net.min_size, rows) // net.size_multiple) * net.size_multiple
    if cost.border > 1:
        bench.declined(NAME, path, f"its kernels change {cost.border} rows at the border; one is the most")
    elif cost.saved <= 0:
        bench.declined(NAME, path, "one kernel would cost more multiplications than the steps")
    elif cost.border and bench.smallest is not None and bench.smallest < side:
        bench.declined(NAME, path, f"it needs images of {side} per side, and {bench.smallest} was asked for")
    elif cost.border and _fewest_rows(net, path, side) < rows:
        bench.declined(NAME, path, f"its features can have fewer than {rows} rows or columns")
    else:
        new = _collapsed(_modules(sites))
        for site in sites:
            site.put(nn.Identity())
        sites[0].put(new)
        for module in net.modules() if cost.border else ():
            if isinstance(module, Network):
                module.min_size = max(module.min_size, side)
        size = 2 * cost.reach + 1
        border = "with kernels for the border" if cost.border else "padded with zeros"
        bench.applied(NAME, path, f"one {size}x{size} convolution {border} and one pixel shuffle x{cost.scale}")


def _modules(sites: Sequence[ModuleRef]) -> list[nn.Module]:
    return [site.module for site in sites]


def _fewest_rows(net: Network, path: str, side: int) -> int:
    """Give the fewest rows or columns that the module at `path` sees, where the image has `side`; 0 if unknown."""
    shapes = record_shapes(net, side)
    return min(shapes[path][0][2:]) if path in shapes else 0


def _collapsed(modules: Sequence[nn.Module]) -> nn.Module:
    """Collapse from the end, step by step, so that the kernels are never read through the widest maps.

    A step is a convolution and what follows it up to the next one behind a shuffle. One whose border is wider than a
    row of its own input has no nine kernels, and is read together with the step ahead of it.
    """
    behind_shuffle = [i for i in range(1, len(modules)) if _scales(modules[i - 1]) and not _scales(modules[i])]
    end = len(modules)
    tail: list[nn.Module] = []
    for start in reversed([0, *behind_shuffle[:-1]]):
        tail = [*modules[start:end], *tail]
        end = start
        conv, cost = tail[0], _cost(modules[start:])
        assert isinstance(conv, nn.Conv2d)
        if cost.border <= 1:
            tail = [_kernel(nn.Sequential(*tail), conv.in_channels, cost, like=conv.weight)]
    return tail[0]


def _scales(module: nn.Module) -> bool:
    return isinstance(module, nn.PixelShuffle)


def _kernel(tail: nn.Sequential, channels: int, cost: _Cost, *, like: Tensor) -> nn.Module:
    if cost.border:
        return CollapsedTail(tail, channels, scale=cost.scale, reach=cost.reach, like=like)
    weights, biases = _responses(tail, channels, scale=cost.scale, reach=cost.reach, border=False)
    conv = convolution(weights[0, 0], biases[0, 0], like=like, padding=cost.reach)
    return nn.Sequential(conv, nn.PixelShuffle(cost.scale))


def _is_linear(module: nn.Module) -> bool:
    if not is_exactly(module, nn.Conv2d):
        return is_exactly(module, nn.PixelShuffle)
    size = module.kernel_size[0]
    keeps_size = module.kernel_size == (size, size) and module.padding == (size // 2, size // 2) and size % 2 == 1
    return keeps_size and module.stride == module.dilation == (1, 1) and module.padding_mode == "zeros"


def _cost(modules: Sequence[nn.Module]) -> _Cost:
    """Follow the pixels of one position back through the modules."""
    steps = [_radius_and_factor(module) for module in modules]
    scale = math.prod(factor for _, factor in steps)
    low, high = 0, scale - 1
    for radius, factor in reversed(steps):
        low, high = low // factor - radius, high // factor + radius
    reach = max(-low, high)
    border = 0
    while _sees_padding(steps[1:], border * scale):
        border += 1
    enlarged, cost = 1, 0
    for module, (_, factor) in zip(modules, steps, strict=True):
        if isinstance(module, nn.Conv2d):
            cost += module.weight.numel() * enlarged**2
        enlarged *= factor
    first, last = modules[0], modules[-1]
    assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
    collapsed = first.in_channels * last.out_channels * scale**2 * (2 * reach + 1) ** 2
    return _Cost(scale, reach, border, cost - collapsed)


def _radius_and_factor(module: nn.Module) -> tuple[int, int]:
    """Radius of a convolution's kernel, and the enlargement of a pixel shuffle."""
    if isinstance(module, nn.PixelShuffle):
        return 0, module.upscale_factor
    assert isinstance(module, nn.Conv2d)
    return module.kernel_size[0] // 2, 1


def _sees_padding(steps: Sequence[tuple[int, int]], row: int) -> bool:
    """Tell whether an output row depends on what the convolutions of `steps` pad."""
    for radius, factor in reversed(steps):
        row = row // factor - radius
        if row < 0:
            return True
    return False


def _responses(tail: nn.Sequential, channels: int, *, scale: int, reach: int, border: bool) -> tuple[Tensor, Tensor]:
    """Read kernels and biases off linear modules, from a map of size = 2 * reach + 1.

    Returns:
        Kernels (P, P, out_channels * scale**2, channels, size, size) and biases (P, P, out_channels * scale**2);
        P = 3 for the first, an inner and the last row and column with `border`, P = 1 for an inner one.
    """
    size = 2 * reach + 1
    places = slice(None, None, reach) if border else slice(reach, reach + 1)
    with torch.enable_grad():
        lr = next(tail.parameters()).new_zeros(1, channels, size, size).requires_grad_()
        positions = F.pixel_unshuffle(tail(lr), scale)[0, :, places, places]
        shape = positions.permute(1, 2, 0).shape
        outputs = rearrange(positions, "o p q -> (p q o)")
        picked = torch.eye(len(outputs)).to(outputs).split(_BATCH)
        rows = [torch.autograd.grad(outputs, lr, some, retain_graph=True, is_grads_batched=True)[0] for some in picked]
    return torch.cat(rows).reshape(*shape, channels, size, size), outputs.detach().reshape(shape)
