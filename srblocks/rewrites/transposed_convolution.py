"""Transposed convolutions become a convolution and a pixel shuffle.

Each of the ``stride**2`` phases of the output is an ordinary convolution of the input. Two forms are exact. *Aligned*:
the phases of one input position make up its own block of the output, and nothing is cropped. *Shifted*: the blocks
begin where the transposed kernel does, which can need a smaller kernel, and the surplus is cropped. The smaller kernel
wins, else the aligned form.

It is done where few channels come out, as at the end of FSRCNN, and without stride. Enlargements of wide features keep
their transposed convolution, for which channels_last layout is the alternative (`srblocks.to_precision`).
"""

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from ..upsampling import DeconvUp
from .context import RewriteContext, is_exactly
from .convolutions import ShiftedShuffle, convolution, weight_and_bias

NAME = "transposed_convolution"

IMAGE_CHANNELS = 4
"""The most channels that may come out of an enlargement."""


def rewrite(bench: RewriteContext) -> None:
    """Rewrite every transposed convolution where it pays."""
    for path, module in list(bench.net.named_modules(remove_duplicate=False)):
        if not isinstance(module, nn.ConvTranspose2d) or bench.net.get_submodule(path) is not module:
            continue
        owner = bench.net.get_submodule(path.rpartition(".")[0])
        excess = owner.excess if is_exactly(owner, DeconvUp) else 0
        if not _is_enlargement(module, excess):
            bench.declined(NAME, path, "its output is not exactly stride times its input")
        elif module.stride[0] > 1 and module.out_channels > IMAGE_CHANNELS:
            bench.declined(NAME, path, "it enlarges wide features; channels_last layout is the alternative")
        else:
            new = _rewritten(module)
            bench.put(path, new)
            if is_exactly(owner, DeconvUp):
                owner.excess = 0
            conv = next(layer for layer in new.modules() if isinstance(layer, nn.Conv2d))
            size, stride = conv.kernel_size[0], module.stride[0]
            shuffle = f" to {conv.out_channels} channels and pixel shuffle x{stride}" if stride > 1 else ""
            bench.applied(NAME, path, f"{size}x{size} convolution{shuffle}")


def _is_enlargement(deconv: nn.ConvTranspose2d, excess: int) -> bool:
    size, stride, padding = deconv.kernel_size[0], deconv.stride[0], deconv.padding[0]
    square = all(each[0] == each[1] for each in (deconv.kernel_size, deconv.stride, deconv.padding))
    given = size - stride - 2 * int(padding) + deconv.output_padding[0] - excess
    alike = deconv.output_padding[0] == deconv.output_padding[1] and deconv.dilation == (1, 1)
    return is_exactly(deconv, nn.ConvTranspose2d) and square and alike and given == 0


def _rewritten(deconv: nn.ConvTranspose2d) -> nn.Module:
    size, stride, padding = deconv.kernel_size[0], deconv.stride[0], int(deconv.padding[0])
    shifted = max(-(-size // stride), 1 - (-padding // stride))
    ahead, behind = (size - 1 - padding) // stride, (stride - 1 + padding) // stride
    if ahead + behind + 1 > shifted:
        conv = _phases(deconv, origin=0, ahead=shifted - 1, behind=0, padding=shifted - 1)
        return ShiftedShuffle(conv, stride, padding)
    even = ahead == behind
    layers: list[nn.Module] = [] if even else [nn.ZeroPad2d((ahead, behind, ahead, behind))]
    layers.append(_phases(deconv, origin=padding, ahead=ahead, behind=behind, padding=ahead if even else 0))
    if stride > 1:
        layers.append(nn.PixelShuffle(stride))
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0]


def _phases(deconv: nn.ConvTranspose2d, *, origin: int, ahead: int, behind: int, padding: int) -> nn.Conv2d:
    """Give the convolution whose output channels are the phases of a transposed one.

    Args:
        deconv: the transposed convolution.
        origin: the tap of its kernel that lies on the first pixel of a block.
        ahead: how many positions ahead of its own a block sees.
        behind: how many behind.
        padding: padding of the result.
    """
    weight, bias = weight_and_bias(deconv)
    size, stride = deconv.kernel_size[0], deconv.stride[0]
    seen = range(ahead, -behind - 1, -1)
    taps = [[origin + phase + stride * distance for distance in seen] for phase in range(stride)]
    index = torch.tensor([[tap if 0 <= tap < size else size for tap in row] for row in taps], device=weight.device)
    picked = F.pad(weight, [0, 1, 0, 1])[:, :, index][..., index]
    return convolution(
        rearrange(picked, "(g i) o p h q w -> (g o p q) i h w", g=deconv.groups),
        None if deconv.bias is None else bias.repeat_interleave(stride**2),
        like=deconv.weight,
        padding=padding,
        groups=deconv.groups,
    )
