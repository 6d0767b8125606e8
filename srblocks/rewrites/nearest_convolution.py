"""Nearest-neighbor enlargement and a 3x3 convolution become a 2x2 convolution and a pixel shuffle.

Each enlarged pixel sees two neighboring input pixels per side, so that 2x2 kernels do, one per phase: 4 of 9
multiplications. Where the blocks of the output begin one pixel ahead of the input's, all phases see the same two.
"""

from itertools import pairwise

import torch
from einops import einsum, rearrange
from torch import nn
from torch.nn import functional as F

from ..upsampling import InterpolateUp
from .context import RewriteContext, is_exactly
from .convolutions import ShiftedShuffle, convolution, weight_and_bias

NAME = "nearest_convolution"


def rewrite(bench: RewriteContext) -> None:
    """Rewrite every nearest-neighbor enlargement with a 3x3 convolution behind it."""
    for chain in bench.sequential_slots():
        for up, behind in pairwise(chain):
            resize, conv = up.module, behind.module
            if not is_exactly(resize, InterpolateUp) or resize.mode != "nearest" or resize.scale == 1:
                continue
            if not is_exactly(resize.act, nn.Identity) or not is_exactly(conv, nn.Conv2d) or not _is_3x3(conv):
                bench.declined(NAME, up.path, "no 3x3 convolution padded with zeros behind it")
                continue
            up.put(resize.project)
            behind.put(ShiftedShuffle(_phases(conv, resize.scale), resize.scale, 1))
            bench.applied(NAME, up.path, f"2x2 convolution and pixel shuffle x{resize.scale}")


def _is_3x3(conv: nn.Conv2d) -> bool:
    steps = conv.stride == conv.dilation == conv.padding == (1, 1)
    return conv.kernel_size == (3, 3) and steps and conv.padding_mode == "zeros"


def _phases(conv: nn.Conv2d, scale: int) -> nn.Conv2d:
    """Give the convolution of the small image whose outputs are blocks that begin one enlarged pixel early."""
    weight, bias = weight_and_bias(conv)
    seen = [[(phase + tap - 2) // scale + 1 for tap in range(3)] for phase in range(scale)]
    sums = F.one_hot(torch.tensor(seen, device=weight.device), 2).to(weight)
    kernels = einsum(sums, sums, weight, "p u h, q v w, o i u v -> o p q i h w")
    return convolution(
        rearrange(kernels, "o p q i h w -> (o p q) i h w"),
        None if conv.bias is None else bias.repeat_interleave(scale**2),
        like=conv.weight,
        padding=1,
        groups=conv.groups,
    )
