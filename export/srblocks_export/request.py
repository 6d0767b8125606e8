"""What an export is asked to do: which network, and what to make of it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ExportError
from .formats import FORMATS
from .shapes import AXES, Shapes

Shape = tuple[int, int, int, int]
_OPSETS = range(15, 26)
_NAME = re.compile(r"\w[\w .\-]{0,149}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the user named.

    Attributes:
        model: registry name, or a weights file; None for the network of `weights`, else the bundled default.
        scale: enlargement per side; None for that of the weights, else the smallest declared one.
        weights: file with the weights; None for bundled ones, else fresh ones.
        color: "rgb" to take and give RGB images whatever the network works on; None for the network's own.
        arguments: constructor arguments as KEY=VALUE.
        seed: seed of fresh weights.
    """

    model: str | None = None
    scale: int | None = None
    weights: Path | None = None
    color: str | None = None
    arguments: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The options of one export.

    Attributes:
        formats: names of `srblocks_export.formats.FORMATS`.
        out: folder for the artifacts and manifest.json; created when missing.
        shape: the one shape of a static export; None for dynamic batch, height and width.
        minimum: smallest dynamic shape; None for the network's own.
        maximum: largest dynamic shape; None for no limit.
        optimize: apply the exact rewrites of `srblocks.optimize` ahead of the export.
        opset: ONNX operator set, 15 to 25.
        verify: "sizes" (several shapes), "one" (one shape) or "off".
        tolerance: largest allowed error, relative to the standard deviation of the reference output.
        seed: seed of the verification inputs.
        force: overwrite existing outputs.
        name: stem of the files, a plain file name; None for network, scale, precision and shape.
    """

    formats: tuple[str, ...]
    out: Path
    shape: Shape | None = None
    minimum: Shape | None = None
    maximum: Shape | None = None
    optimize: bool = True
    opset: int = 18
    verify: str = "sizes"
    tolerance: float = 1e-4
    seed: int = 0
    force: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse options that mean nothing.

        Raises:
            ExportError: E200, with what is allowed.
        """
        object.__setattr__(self, "out", Path(self.out))
        unknown = [name for name in self.formats if name not in FORMATS]
        if isinstance(self.formats, str) or unknown or not self.formats:
            raise ExportError(200, f"formats={self.formats!r}", f"give one or more of {', '.join(FORMATS)}")
        if self.verify not in ("sizes", "one", "off"):
            raise ExportError(200, f"verify={self.verify!r} is unknown", "use sizes, one or off")
        if not 0 <= self.tolerance < math.inf:
            raise ExportError(200, f"tolerance={self.tolerance} is no bound", "use a number of 0 or more")
        if self.opset not in _OPSETS:
            raise ExportError(200, f"opset {self.opset} is out of range", f"use {_OPSETS[0]} to {_OPSETS[-1]}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ExportError(
                200,
                f"the name {self.name!r} is no plain file name",
                "use up to 150 letters, digits, '.', '-', '_', ' '",
            )

    def shapes(self, *, image_channels: int, min_size: int, size_multiple: int) -> Shapes:
        """Resolve the ranges for a network.

        Raises:
            ExportError: E202, a shape that the network does not take, or an empty range.
        """
        smallest = -(-min_size // size_multiple) * size_multiple
        own = Shapes((1, image_channels, smallest, smallest), (None, image_channels, None, None), size_multiple)
        given: Mapping[str, Shape | None] = {"--shape": self.shape, "--min": self.minimum, "--max": self.maximum}
        for flag, shape in given.items():
            if shape and (problem := own.problem(shape)):
                raise ExportError(202, f"{flag}: {problem}", f"the network takes {own}")
        if self.shape:
            return Shapes(self.shape, self.shape, size_multiple)
        low, high = self.minimum or own.minimum, self.maximum or own.maximum
        for axis, smaller, larger in zip(AXES, low, high, strict=True):
            if larger is not None and smaller > larger:
                raise ExportError(202, f"--min {axis} {smaller} is above --max {axis} {larger}", "swap or widen them")
        return Shapes(low, high, size_multiple)
