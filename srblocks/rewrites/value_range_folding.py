"""`Rescale` and `MeanShift` become part of the convolutions beside them.

At the output they follow a convolution, possibly with a pixel shuffle between: its weights and bias take them in. At
the input a zero-padded convolution follows, and its border is zero *behind* the shift: only the factor goes into the
weights, and the shift stays, as one subtraction of the color that the network sees as zero. Folding the shift into
the bias as well would change a border as wide as the receptive field. A convolution that continues the image over its
border, or does not pad, takes both.
"""

from collections.abc import Sequence

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from ..blocks import MeanShift, Rescale
from ..upsampling import BicubicResize, InterpolateUp
from .context import ModuleRef, RewriteContext, is_exactly
from .convolutions import weight_and_bias, with_weights

NAME = "value_range_folding"


class Subtract(nn.Module):
    """Subtract a color: ``x - color``.

    Args:
        color: one value per channel.
        like: gives precision and device.
    """

    color: Tensor

    def __init__(self, color: Tensor, *, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("color", color.to(like)[:, None, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """Subtract the color from the images ``x``."""
        return x - self.color


def rewrite(bench: RewriteContext) -> None:
    """Fold every change of range beside a convolution."""
    for chain in bench.sequential_slots():
        inside = [_is_affine(site.module) for site in chain]
        for start, end in _runs(inside):
            done = _fold_ahead(chain[:start], chain[start:end]) or _fold_behind(chain[start:end], chain[end:])
            if done:
                bench.applied(NAME, chain[start].path, done)
            else:
                bench.declined(NAME, chain[start].path, "no ungrouped convolution beside it")


def _is_affine(module: nn.Module) -> bool:
    return is_exactly(module, Rescale) or is_exactly(module, MeanShift)


def _runs(inside: Sequence[bool]) -> list[tuple[int, int]]:
    """Give start and end of every run of True."""
    edges = [i for i in range(len(inside) + 1) if (i > 0 and inside[i - 1]) != (i < len(inside) and inside[i])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _fold_ahead(before: Sequence[ModuleRef], steps: Sequence[ModuleRef]) -> str | None:
    """Fold `steps` into the convolution ahead of them."""
    shuffled = 1
    while before and is_exactly(shuffle := before[-1].module, nn.PixelShuffle):
        shuffled *= shuffle.upscale_factor**2
        before = before[:-1]
    conv = before[-1].module if before else None
    if not is_exactly(conv, nn.Conv2d) or conv.groups > 1:
        return None
    matrix, offset = _affine([site.module for site in steps], conv.out_channels // shuffled, like=conv.weight)
    weight, bias = weight_and_bias(conv)
    phases = rearrange(weight, "(c p) i h w -> c p i h w", p=shuffled)
    weight = rearrange(einsum(matrix, phases, "o c, c p i h w -> o p i h w"), "o p i h w -> (o p) i h w")
    bias = rearrange(matrix @ rearrange(bias, "(c p) -> c p", p=shuffled) + offset[:, None], "o p -> (o p)")
    before[-1].put(with_weights(conv, weight, bias))
    for site in steps:
        site.put(nn.Identity())
    return "part of the convolution ahead of it"


def _fold_behind(steps: Sequence[ModuleRef], behind: Sequence[ModuleRef]) -> str | None:
    """Fold `steps` into the convolution behind them, or all but one subtraction."""
    while behind and _keeps_constants(behind[0].module):
        behind = behind[1:]
    conv = behind[0].module if behind else None
    if not is_exactly(conv, nn.Conv2d) or conv.groups > 1:
        return None
    matrix, offset = _affine([site.module for site in steps], conv.in_channels, like=conv.weight)
    weight, bias = weight_and_bias(conv)
    zero_padded = conv.padding_mode == "zeros" and conv.padding not in ((0, 0), "valid")
    first: nn.Module = nn.Identity()
    if zero_padded and offset.any():
        color, failed = torch.linalg.solve_ex(matrix, -offset)
        if failed:
            return None
        first = Subtract(color, like=conv.weight)
    else:
        bias = bias + einsum(weight, offset, "o c h w, c -> o")
    weight = einsum(weight, matrix, "o c h w, c i -> o i h w")
    behind[0].put(with_weights(conv, weight, bias))
    for site in steps:
        site.put(nn.Identity())
    steps[0].put(first)
    return f"{'one subtraction, the rest ' if isinstance(first, Subtract) else ''}part of the convolution behind it"


def _affine(modules: Sequence[nn.Module], channels: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Give what the modules do to an image of so many channels, as a matrix and an offset."""
    matrix = torch.eye(channels).to(like)
    offset = matrix.new_zeros(channels)
    for module in modules:
        if isinstance(module, Rescale):
            matrix, offset = matrix * module.factor, offset * module.factor
        elif isinstance(module, MeanShift):
            step = module.weight[:, :, 0, 0]
            matrix, offset = step @ matrix, step @ offset + module.bias
    return matrix, offset


def _keeps_constants(module: nn.Module) -> bool:
    """Tell whether a module resizes each channel alike and leaves constant images constant."""
    if is_exactly(module, InterpolateUp):
        return is_exactly(module.project, nn.Identity) and is_exactly(module.act, nn.Identity)
    return is_exactly(module, BicubicResize)
