"""Replace nearest-neighbor upsampling and a 3x3 convolution by a 2x2 convolution and a pixel shuffle.

Each upscaled pixel depends on two neighboring input pixels per side, so that one 2x2 kernel per phase is enough: 4 of 9
multiplications. Where the blocks of the output start one pixel before those of the input, all phases read the same two.
"""

from itertools import pairwise

import torch
from einops import einsum, rearrange
from torch import nn
from torch.nn import functional as F

from ..upsampling import InterpolateUp
from .context import RewriteContext
from .convolutions import ShiftedShuffle, convolution, weight_and_bias
from .matching import is_exactly

NAME = "nearest_convolution"


def rewrite(context: RewriteContext) -> None:
    """Rewrite every nearest-neighbor upsampling that is followed by a 3x3 convolution."""
    for run in context.sequential_slots():
        for up, following in pairwise(run):
            resize, conv = up.module, following.module
            if not is_exactly(resize, InterpolateUp) or resize.mode != "nearest" or resize.scale == 1:
                continue
            if not is_exactly(resize.act, nn.Identity) or not is_exactly(conv, nn.Conv2d) or not _is_3x3(conv):
                context.declined(NAME, up.path, "no zero-padded 3x3 convolution after it")
                continue
            up.replace(resize.project)
            following.replace(ShiftedShuffle(_phases(conv, resize.scale), resize.scale, 1))
            context.applied(NAME, up.path, f"2x2 convolution and pixel shuffle x{resize.scale}")


def _is_3x3(conv: nn.Conv2d) -> bool:
    ones = conv.stride == conv.dilation == conv.padding == (1, 1)
    return conv.kernel_size == (3, 3) and ones and conv.padding_mode == "zeros"


def _phases(conv: nn.Conv2d, scale: int) -> nn.Conv2d:
    """Return the convolution of the input whose output channels are blocks that start one upscaled pixel early."""
    weight, bias = weight_and_bias(conv)
    sources = [[(phase + tap - 2) // scale + 1 for tap in range(3)] for phase in range(scale)]
    sums = F.one_hot(torch.tensor(sources, device=weight.device), 2).to(weight)
    kernels = einsum(sums, sums, weight, "p u h, q v w, o i u v -> o p q i h w")
    return convolution(
        rearrange(kernels, "o p q i h w -> (o p q) i h w"),
        None if conv.bias is None else bias.repeat_interleave(scale**2),
        like=conv.weight,
        padding=1,
        groups=conv.groups,
    )
