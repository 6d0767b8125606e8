"""Input shapes of an artifact: ranges, checks and parsing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from srblocks._utils.rounding import round_up

from .errors import ExportError, InputError
from .formats.tensorrt import trt_engine

Shape = tuple[int, int, int, int]
AXES = ("batch", "channels", "height", "width")
_LARGEST_MINIMUM = 2**28
"""Largest number of values of the smallest input; callers allocate images of that size."""


@dataclass(frozen=True)
class Shapes:
    """Range of accepted NCHW shapes.

    Attributes:
        minimum: smallest N, C, H, W.
        maximum: largest N, C, H, W; None for no limit. A static artifact has ``maximum == minimum``.
        multiple: H and W must be multiples of it.
        optimum: the shape that a TensorRT engine is optimized for; None for formats that are not optimized for one.
    """

    minimum: Shape
    maximum: tuple[int | None, int | None, int | None, int | None]
    multiple: int = 1
    optimum: Shape | None = None

    @property
    def ranges(self) -> list[tuple[int, int | None]]:
        """Smallest and largest size of each axis."""
        return list(zip(self.minimum, self.maximum, strict=True))

    @property
    def static(self) -> bool:
        """Whether exactly one shape is accepted."""
        return self.minimum == self.maximum

    @property
    def profile(self) -> tuple[Shape, Shape, Shape]:
        """Smallest, optimal and largest shape: a TensorRT optimization profile.

        Raises:
            ValueError: an axis has no upper limit.
        """
        n, c, h, w = self.maximum
        if n is None or c is None or h is None or w is None:
            raise ValueError(f"{self} has no upper limit")
        return self.minimum, self.optimum or self.minimum, (n, c, h, w)

    def problem(self, shape: Sequence[int]) -> str | None:
        """Return why `shape` is rejected, or None if it is accepted."""
        if len(shape) != 4:
            return f"shape {_text(shape)} has {len(shape)} dimensions instead of 4 (batch x channels x height x width)"
        for axis, size, low, high in zip(AXES, shape, self.minimum, self.maximum, strict=True):
            if size < low or (high is not None and size > high):
                return f"shape {_text(shape)}: {axis} {size} is outside {low}..{'any' if high is None else high}"
            if axis in AXES[2:] and size % self.multiple:
                return f"shape {_text(shape)}: {axis} {size} is not a multiple of {self.multiple}"
        return None

    def padded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return `shape` with height and width rounded up to multiples."""
        return *shape[:2], *(round_up(side, self.multiple) for side in shape[2:])

    def check(self, shape: Sequence[int]) -> None:
        """Raise if `shape` is out of range.

        Raises:
            InputError: E202, the accepted range is in the message.
        """
        if problem := self.problem(shape):
            raise InputError(202, problem, f"use {self}")

    def __str__(self) -> str:
        """Return the ranges in one line, such as ``1..x3x8..x8..`` (no upper limit) or ``1x3x64x64``."""
        parts = [str(low) if low == high else f"{low}..{'' if high is None else high}" for low, high in self.ranges]
        return "x".join(parts) + (f" in multiples of {self.multiple}" if self.multiple > 1 else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the ranges as the manifest records them."""
        entry = {"min": list(self.minimum), "max": list(self.maximum), "size_multiple": self.multiple}
        return entry | ({"opt": list(self.optimum)} if self.optimum else {})

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "Shapes":
        """Read and validate the result of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: the entry is invalid.
        """
        low, high, multiple, best = entry["min"], entry["max"], entry["size_multiple"], entry.get("opt")
        sizes = [*low, multiple, *(size for size in high if size is not None), *(best or ())]
        if {len(low), len(high), len(best or low)} != {4} or not all(
            type(size) is int and 0 < size < 2**31 for size in sizes
        ):
            raise ValueError("ranges must be four positive integers each")
        if math.prod(low) > _LARGEST_MINIMUM:
            raise ValueError(f"the smallest input has {math.prod(low)} values, at most {_LARGEST_MINIMUM} are allowed")
        shapes = cls(tuple(low), tuple(high), multiple, tuple(best) if best else None)
        largest = [limit or size for limit, size in zip(high, low, strict=True)]
        if problem := next(filter(None, map(shapes.problem, (low, largest, best or low))), None):
            raise ValueError(f"inconsistent ranges: {problem}")
        return shapes


def parse_shape(text: str) -> Shape:
    """Parse ``"1x3x64x64"`` or ``"1,3,64,64"``.

    Raises:
        ExportError: E203, the text is not an NCHW shape of positive integers.
    """
    try:
        n, c, h, w = trt_engine.parse_shape(text)
    except ValueError:
        remedy = "use NxCxHxW (batch, channels, height, width), such as 1x3x64x64"
        raise ExportError(203, f"invalid shape {text!r}", remedy) from None
    return n, c, h, w


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
