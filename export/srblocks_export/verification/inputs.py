"""Shapes and images for the verification, and the reference outputs."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from srblocks.network import Network

from ..shapes import Shape, Shapes

# (batch, height, width) steps above the smallest shape that reveal size-dependent errors: odd, non-square, batch of 2.
_STEPS = ((0, 16, 22), (1, 23, 39), (0, 30, 11))
_PIXELS = 128 * 128
"""The optimum and the largest shape are compared, too, up to this number of pixels; larger ones take too long."""

_MAX_ROUNDING = 2.5e-5
"""Effect of rounding, relative to the standard deviation of the output, above which noise is replaced."""


class References:
    """Inputs at several sizes and the outputs of the eager network, in a file for the worker.

    Args:
        net: the network in eval mode.
        shapes: the artifact's input shapes.
        folder: where to write; it must exist until the verification ends.
        seed: seed of the noise.
        sizes: "sizes" for several shapes, "one" for the first.
        smooth: replace noise whose rounding errors the network amplifies, see `amplifies_rounding`, by a smooth ramp.

    Attributes:
        path: an .npz file with ``lr0``, ``sr0``, ``lr1``, ...
        spread: standard deviation of all outputs; 1 if they are constant.
        rejected: shapes that the artifact must reject.
        smoothed: shapes of the images that were replaced.
    """

    def __init__(
        self,
        net: Network,
        shapes: Shapes,
        folder: Path,
        *,
        seed: int = 0,
        sizes: str = "sizes",
        smooth: bool = False,
    ) -> None:
        arrays: dict[str, Any] = {}
        outputs: list[Any] = []
        self.smoothed: list[list[int]] = []
        for number, noise in enumerate(verification_inputs(shapes, seed=seed, sizes=sizes)):
            lr = noise
            if smooth and amplifies_rounding(net, noise):
                lr = _ramp(noise)
                self.smoothed.append(list(lr.shape))
            with torch.inference_mode():
                sr = net(lr).numpy()
            arrays |= {f"lr{number}": lr.numpy(), f"sr{number}": sr}
            outputs.append(sr.ravel())
        self.path = folder / "references.npz"
        self.spread = float(np.concatenate(outputs).astype(np.float64).std()) or 1.0
        self.rejected = rejected_shapes(shapes)
        np.savez(self.path, **arrays)


def verification_shapes(shapes: Shapes) -> list[Shape]:
    """Return the shapes to compare at.

    Three with different parity, aspect ratio and batch size, the smallest one, and the optimum and the largest one if
    they are small.
    """
    if shapes.static:
        return [shapes.minimum]
    low, high, step = shapes.minimum, shapes.maximum, shapes.multiple

    def above(axis: int, steps: int) -> int:
        unit = step if axis > 1 else 1
        limit = high[axis]
        steps = steps if limit is None else min(steps, (limit - low[axis]) // unit)
        return low[axis] + steps * unit

    wanted = [(above(0, n), low[1], above(2, h), above(3, w)) for n, h, w in _STEPS]
    wanted.append(low)
    if shapes.optimum and _pixels(shapes.optimum) <= _PIXELS:
        wanted.append(shapes.optimum)
    if None not in high:
        largest = (above(0, _PIXELS), low[1], above(2, _PIXELS), above(3, _PIXELS))
        if _pixels(largest) <= _PIXELS:
            wanted.append(largest)
    return list(dict.fromkeys(wanted))


def verification_inputs(shapes: Shapes, *, seed: int, sizes: str) -> Iterator[Tensor]:
    """Yield the images to compare on: one per shape, or only the first if `sizes` is "one"."""
    generator = torch.Generator().manual_seed(seed)
    for number, shape in enumerate(verification_shapes(shapes)[: 1 if sizes == "one" else None]):
        yield _image(shape, number, generator)


class _Rounding(TorchFunctionMode):
    """Adds noise to the output of every operation: the precision of float32 for its largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim < 2 or not output.numel():
            return output
        noise = 2 * torch.rand(output.shape, generator=self.generator) - 1
        return output + torch.finfo(torch.float32).eps * output.abs().max() * noise


@torch.inference_mode()
def amplifies_rounding(net: Network, lr: Tensor) -> bool:
    """Return whether two correct programs for a network can differ noticeably in their outputs for the images ``lr``.

    Some trained networks are unstable on noise, which they have never seen. There the least precise operation of a
    runtime, such as a fast sigmoid, changes the output.
    """
    output = net(lr)
    with _Rounding():
        error = float((net(lr) - output).abs().max())
    return not error <= _MAX_ROUNDING * (float(output.std(correction=0)) or 1.0)


def rejected_shapes(shapes: Shapes) -> list[list[int]]:
    """Return shapes just out of range, which the runtime must reject."""
    n, c, h, w = shapes.minimum
    rejected = [[n, c + 1, h, w]]
    if h > shapes.multiple:
        rejected.append([n, c, h - shapes.multiple, w])
    if shapes.maximum[3] is not None:
        rejected.append([n, c, h, shapes.maximum[3] + shapes.multiple])
    return rejected


def _pixels(shape: Shape) -> int:
    return shape[0] * shape[2] * shape[3]


def _image(shape: Sequence[int], number: int, generator: torch.Generator) -> Tensor:
    """Return uniform noise, a smooth ramp with noise, or black-and-white noise, in turn: each reveals other errors."""
    noise = torch.rand(shape, generator=generator)
    if number % 3 == 1:
        return _ramp(noise)
    return noise.round() if number % 3 == 2 else noise


def _ramp(noise: Tensor) -> Tensor:
    ramp = torch.linspace(0, 1, math.prod(noise.shape)).reshape(noise.shape)
    return 0.9 * ramp + 0.1 * noise
