"""Replace transposed convolutions by a convolution and a pixel shuffle.

Each of the ``stride**2`` phases of the output is an ordinary convolution of the input. Two forms are exact. *Aligned*:
the phases of one input position form its own output block, and nothing is cropped. *Shifted*: the blocks start where
the transposed kernel starts, which can need a smaller kernel, and the surplus is cropped. The form with the smaller
kernel is used, the aligned one if they are equal.

By default, the rewrite applies to outputs with few channels, as at the end of FSRCNN, and to stride 1. Transposed
convolutions of wide features are kept; for them the channels_last memory format is the alternative
(`srblocks.to_precision`).
"""

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from ..upsampling import DeconvUp
from .context import RewriteContext
from .convolutions import ShiftedShuffle, convolution, weight_and_bias
from .matching import is_exactly

NAME = "transposed_convolution"

IMAGE_CHANNELS = 4
"""Largest number of output channels of an upscaling that is rewritten."""


def rewrite(context: RewriteContext) -> None:
    """Rewrite every transposed convolution where it pays off."""
    for path, module in list(context.net.named_modules(remove_duplicate=False)):
        if not isinstance(module, nn.ConvTranspose2d) or context.net.get_submodule(path) is not module:
            continue
        parent = context.net.get_submodule(path.rpartition(".")[0])
        excess = parent.excess if is_exactly(parent, DeconvUp) else 0
        if not _is_upscaling(module, excess):
            context.declined(NAME, path, "its output size is not exactly stride times its input size")
        elif module.stride[0] > 1 and module.out_channels > IMAGE_CHANNELS and NAME not in context.always:
            context.declined(NAME, path, "it upscales wide features; consider the channels_last memory format")
        else:
            new = _rewritten(module)
            context.replace(path, new)
            if is_exactly(parent, DeconvUp):
                parent.excess = 0
            conv = next(layer for layer in new.modules() if isinstance(layer, nn.Conv2d))
            size, stride = conv.kernel_size[0], module.stride[0]
            shuffle = f" to {conv.out_channels} channels and pixel shuffle x{stride}" if stride > 1 else ""
            context.applied(NAME, path, f"{size}x{size} convolution{shuffle}")


def _is_upscaling(deconv: nn.ConvTranspose2d, excess: int) -> bool:
    size, stride, padding = deconv.kernel_size[0], deconv.stride[0], deconv.padding[0]
    square = all(pair[0] == pair[1] for pair in (deconv.kernel_size, deconv.stride, deconv.padding))
    surplus = size - stride - 2 * int(padding) + deconv.output_padding[0] - excess
    regular = deconv.output_padding[0] == deconv.output_padding[1] and deconv.dilation == (1, 1)
    return is_exactly(deconv, nn.ConvTranspose2d) and square and regular and surplus == 0


def _rewritten(deconv: nn.ConvTranspose2d) -> nn.Module:
    size, stride, padding = deconv.kernel_size[0], deconv.stride[0], int(deconv.padding[0])
    shifted = max(-(-size // stride), 1 - (-padding // stride))
    before, after = (size - 1 - padding) // stride, (stride - 1 + padding) // stride
    if before + after + 1 > shifted:
        conv = _phases(deconv, origin=0, before=shifted - 1, after=0, padding=shifted - 1)
        return ShiftedShuffle(conv, stride, padding)
    symmetric = before == after
    layers: list[nn.Module] = [] if symmetric else [nn.ZeroPad2d((before, after, before, after))]
    layers.append(_phases(deconv, origin=padding, before=before, after=after, padding=before if symmetric else 0))
    if stride > 1:
        layers.append(nn.PixelShuffle(stride))
    return nn.Sequential(*layers) if len(layers) > 1 else layers[0]


def _phases(deconv: nn.ConvTranspose2d, *, origin: int, before: int, after: int, padding: int) -> nn.Conv2d:
    """Return the convolution whose output channels are the phases of a transposed convolution.

    Args:
        deconv: the transposed convolution.
        origin: the kernel tap on the first pixel of a block.
        before: input positions before its own that a block depends on.
        after: input positions after its own that a block depends on.
        padding: padding of the result.
    """
    weight, bias = weight_and_bias(deconv)
    size, stride = deconv.kernel_size[0], deconv.stride[0]
    distances = range(before, -after - 1, -1)
    taps = [[origin + phase + stride * distance for distance in distances] for phase in range(stride)]
    index = torch.tensor([[tap if 0 <= tap < size else size for tap in row] for row in taps], device=weight.device)
    picked = F.pad(weight, [0, 1, 0, 1])[:, :, index][..., index]
    return convolution(
        rearrange(picked, "(g i) o p h q w -> (g o p q) i h w", g=deconv.groups),
        None if deconv.bias is None else bias.repeat_interleave(stride**2),
        like=deconv.weight,
        padding=padding,
        groups=deconv.groups,
    )
