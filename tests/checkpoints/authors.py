"""State dicts of third-party code: names, shapes, and values that differ for every tensor.

The names follow the authors' source code, not our layout tables. Tensors are yielded in the order in which the authors'
forward pass first uses them, one scale after the other if a file supports several; of convolutions with the same input,
an attention's query comes first, then its key, then its value. A tensor that is used again may be yielded again: the
first position counts.
"""

import zlib
from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

StateDictView = Iterable[tuple[str, tuple[int, ...]]]
Color = tuple[float, float, float]

DIV2K: Color = (0.4488, 0.4371, 0.4040)
DIVFLICKR2K: Color = (0.4690, 0.4490, 0.4036)


def conv(name: str, outputs: int, inputs: int, side: int = 3, *, bias: bool = True) -> StateDictView:
    yield f"{name}.weight", (outputs, inputs, side, side)
    if bias:
        yield f"{name}.bias", (outputs,)


def deconv(name: str, inputs: int, outputs: int, side: int, *, bias: bool = True) -> StateDictView:
    yield f"{name}.weight", (inputs, outputs, side, side)
    if bias:
        yield f"{name}.bias", (outputs,)


def slope(name: str, count: int = 1) -> StateDictView:
    yield f"{name}.weight", (count,)


def norm(name: str, channels: int) -> StateDictView:
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{leaf}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def shuffles(name: str, scale: int, width: int, *, step: int = 2, groups: int = 1) -> StateDictView:
    """Return the convolutions before pixel shuffles: one for x3, else one for each doubling, `step` modules apart."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    for i, factor in enumerate(factors):
        yield from conv(f"{name}.{step * i}", factor**2 * width, width // groups)


def shifted(*inner: StateDictView, shift: str = "{}_mean") -> StateDictView:
    """Put the fixed convolutions that subtract the mean color and add it back around other tensors."""
    return chain(conv(shift.format("sub"), 3, 3, 1), *inner, conv(shift.format("add"), 3, 3, 1))


def filled(layout: StateDictView, *, white: float = 255.0, mean: Color = DIV2K) -> dict[str, Tensor]:
    """Fill each tensor of a layout with different values, and the constant ones with their values.

    Args:
        layout: names and shapes.
        white: the value of white, for the fixed convolutions `sub_mean` and `add_mean`.
        mean: the mean color, for the same convolutions.
    """
    state: dict[str, Tensor] = {}
    for name, shape in layout:
        seed = zlib.crc32(name.encode())
        if name.startswith(("sub_mean", "add_mean")):
            shift = torch.tensor(mean) * (-white if name.startswith("sub") else white)
            state[name] = shift if name.endswith("bias") else torch.eye(3).view(shape)
        elif name.endswith("escape_NaN"):
            state[name] = torch.full(shape, 1e-4)
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(seed)
        else:
            values = 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
            state[name] = values.abs() if name.endswith("running_var") else values
    return state
