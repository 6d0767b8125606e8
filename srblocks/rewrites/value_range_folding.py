"""Fold `Rescale` and `MeanShift` into adjacent convolutions.

At the output they follow a convolution, possibly with a pixel shuffle in between, and are folded into its weights and
bias. At the input a zero-padded convolution follows, and its padding is zero *after* the shift: only the factor is
folded into the weights, and the shift becomes one subtraction of the color that the network receives as zero. Folding
the shift into the bias as well would change a border as wide as the receptive field. Convolutions without padding, or
with another padding mode than zeros, absorb both.
"""

from collections.abc import Sequence

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from ..blocks import MeanShift, Rescale
from ..upsampling import BicubicResize, InterpolateUp
from .context import ModuleRef, RewriteContext
from .convolutions import weight_and_bias, with_weights
from .matching import is_exactly

NAME = "value_range_folding"


class Subtract(nn.Module):
    """Subtract a color: ``x - color``.

    Args:
        color: one value per channel.
        like: tensor with the dtype and device to use.
    """

    color: Tensor

    def __init__(self, color: Tensor, *, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("color", color.to(like)[:, None, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """Subtract the color from the images ``x``."""
        return x - self.color


def rewrite(context: RewriteContext) -> None:
    """Fold every change of value range next to a convolution."""
    for run in context.sequential_slots():
        affine = [_is_affine(ref.module) for ref in run]
        for start, end in _true_ranges(affine):
            result = _fold_backward(run[:start], run[start:end]) or _fold_forward(run[start:end], run[end:])
            if result:
                context.applied(NAME, run[start].path, result)
            else:
                context.declined(NAME, run[start].path, "no ungrouped convolution next to it")


def _is_affine(module: nn.Module) -> bool:
    return is_exactly(module, Rescale) or is_exactly(module, MeanShift)


def _true_ranges(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Return start and end of every run of True."""
    edges = [i for i in range(len(flags) + 1) if (i > 0 and flags[i - 1]) != (i < len(flags) and flags[i])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _fold_backward(before: Sequence[ModuleRef], steps: Sequence[ModuleRef]) -> str | None:
    """Fold `steps` into the convolution before them."""
    shuffled = 1
    while before and is_exactly(shuffle := before[-1].module, nn.PixelShuffle):
        shuffled *= shuffle.upscale_factor**2
        before = before[:-1]
    conv = before[-1].module if before else None
    if not is_exactly(conv, nn.Conv2d) or conv.groups > 1:
        return None
    matrix, offset = _affine([ref.module for ref in steps], conv.out_channels // shuffled, like=conv.weight)
    weight, bias = weight_and_bias(conv)
    phases = rearrange(weight, "(c p) i h w -> c p i h w", p=shuffled)
    weight = rearrange(einsum(matrix, phases, "o c, c p i h w -> o p i h w"), "o p i h w -> (o p) i h w")
    bias = rearrange(matrix @ rearrange(bias, "(c p) -> c p", p=shuffled) + offset[:, None], "o p -> (o p)")
    before[-1].replace(with_weights(conv, weight, bias))
    for ref in steps:
        ref.replace(nn.Identity())
    return "folded into the convolution before it"


def _fold_forward(steps: Sequence[ModuleRef], following: Sequence[ModuleRef]) -> str | None:
    """Fold `steps` into the convolution after them, or all but one subtraction."""
    while following and _keeps_constants(following[0].module):
        following = following[1:]
    conv = following[0].module if following else None
    if not is_exactly(conv, nn.Conv2d) or conv.groups > 1:
        return None
    matrix, offset = _affine([ref.module for ref in steps], conv.in_channels, like=conv.weight)
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
    following[0].replace(with_weights(conv, weight, bias))
    for ref in steps:
        ref.replace(nn.Identity())
    steps[0].replace(first)
    rest = "one subtraction; the rest " if isinstance(first, Subtract) else ""
    return f"{rest}folded into the convolution after it"


def _affine(modules: Sequence[nn.Module], channels: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the affine map of the modules on images with this many channels, as a matrix and an offset."""
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
    """Return whether a module resizes all channels alike and maps constant images to constant images."""
    if is_exactly(module, InterpolateUp):
        return is_exactly(module.project, nn.Identity) and is_exactly(module.act, nn.Identity)
    return is_exactly(module, BicubicResize)
