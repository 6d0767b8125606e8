"""What an export is asked to do: which network, and what to make of it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import ExportError
from .formats import FORMATS, PRECISIONS
from .formats.tensorrt.trt_engine import BuildOptions
from .shapes import AXES, Shape, Shapes

_OPSETS = range(15, 26)
TOLERANCES = {"fp32": 1e-4, "fp16": 3e-2, "bf16": 0.25}
"""Largest allowed error by precision, relative to the standard deviation of the reference output."""
MIN_PSNR = {"fp32": 0.0, "fp16": 55.0, "bf16": 40.0}
"""Smallest allowed PSNR by precision, in dB. Trained networks reach 5 dB more but on noise of black and white."""
# Sizes of TensorRT engines where none are given: up to a half of 1080 lines, quickest at a quarter.
_LARGEST, _USUAL = (540, 960), (270, 480)
_NAME = re.compile(r"\w[\w .\-]{0,149}")


@dataclass(frozen=True, kw_only=True)
class ModelSource:
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
class ExportConfig:
    """The options of one export.

    Attributes:
        formats: names of `srblocks_export.formats.FORMATS`; one that is made from another adds that one.
        out: folder for the artifacts and manifest.json; created when missing.
        shape: the one shape of a static export; None for dynamic batch, height and width.
        minimum: smallest dynamic shape; None for the network's own.
        maximum: largest dynamic shape; None for no limit, or for 1 x C x 540 x 960 where a format needs a limit.
        optimum: the shape that TensorRT engines are made quickest at; None for up to 1 x C x 270 x 480.
        optimize: apply the exact rewrites of `srblocks.optimize` ahead of the export.
        without: names of rewrites to leave out.
        precision: what the network computes in, "fp32", "fp16" or "bf16"; inputs and outputs are float32.
        fp32_modules: regular expressions of modules that compute in float32 all the same, see `srblocks.to_precision`.
        calibrate: folder of images, or one, that show whether the values fit into the precision; None for the inputs
            of the verification.
        opset: ONNX operator set, 15 to 25.
        device: where an AOTInductor package is to run, "cpu" or "cuda".
        engine: how TensorRT builds.
        verify: "sizes" (several shapes), "one" (one shape) or "off".
        tolerance: largest allowed error, relative to the standard deviation of the reference output; None for that of
            the precision.
        min_psnr: smallest allowed PSNR against the reference, in dB; None for that of the precision.
        seed: seed of the verification inputs.
        force: overwrite existing outputs.
        name: stem of the files, a plain file name; None for network, scale, precision and shape.
    """

    formats: tuple[str, ...]
    out: Path
    shape: Shape | None = None
    minimum: Shape | None = None
    maximum: Shape | None = None
    optimum: Shape | None = None
    optimize: bool = True
    without: tuple[str, ...] = ()
    precision: str = "fp32"
    fp32_modules: tuple[str, ...] = ()
    calibrate: Path | None = None
    opset: int = 18
    device: str = "cpu"
    engine: BuildOptions = field(default_factory=BuildOptions)
    verify: str = "sizes"
    tolerance: float | None = None
    min_psnr: float | None = None
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
        sources = [(source, name) if (source := FORMATS[name].source) else (name,) for name in self.formats]
        object.__setattr__(self, "formats", tuple(dict.fromkeys(name for pair in sources for name in pair)))
        self._check_machine()
        if self.verify not in ("sizes", "one", "off"):
            raise ExportError(200, f"verify={self.verify!r} is unknown", "use sizes, one or off")
        for bound in ("tolerance", "min_psnr"):
            value = getattr(self, bound)
            if value is not None and not 0 <= value < math.inf:
                raise ExportError(200, f"{bound}={value} is no bound", "use a number of 0 or more")
        if self.without and not self.optimize:
            raise ExportError(200, "--without says nothing of an export with --no-optimize", "leave out one of them")
        self._check_precision()
        if self.opset not in _OPSETS:
            raise ExportError(200, f"opset {self.opset} is out of range", f"use {_OPSETS[0]} to {_OPSETS[-1]}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ExportError(
                200,
                f"the name {self.name!r} is no plain file name",
                "use up to 150 letters, digits, '.', '-', '_', ' '",
            )

    def _check_machine(self) -> None:
        on_cuda = [name for name in self.formats if "cuda" in FORMATS[name].devices]
        if self.device not in ("cpu", "cuda") or (self.device == "cuda" and not on_cuda):
            raise ExportError(200, f"--device {self.device} says nothing of --{self.formats[0]}", "use it with --aoti")
        if not self._profiled and (self.optimum or replace(self.engine, tf32=False) != BuildOptions()):
            cause = f"--opt and TensorRT's options say nothing of --{self.formats[0]}"
            raise ExportError(200, cause, "leave them out, or use --trt")
        if self.engine.tf32 and "cuda" not in (FORMATS[name].device(self.device) for name in self.formats):
            raise ExportError(200, f"--tf32 says nothing of --{self.formats[0]}", "leave it out, or use --trt")

    def _check_precision(self) -> None:
        if self.precision not in PRECISIONS:
            raise ExportError(200, f"precision={self.precision!r} is unknown", f"use {', '.join(PRECISIONS)}")
        unable = [name for name in self.formats if self.precision not in FORMATS[name].precisions]
        if unable:
            able = [f"--{name}" for name, row in FORMATS.items() if self.precision in row.precisions]
            others = [f"--precision {name}" for name in FORMATS[unable[-1]].precisions if name != "fp32"]
            cause = f"--{unable[-1]} cannot be in {self.precision}: nothing runs such ONNX files on a CPU"
            raise ExportError(200, cause, f"use {' or '.join(able)}, or {' or '.join(others)}")
        if self.precision == "fp32" and (self.fp32_modules or self.calibrate):
            cause = "--fp32-modules and --calibrate say nothing of an export in fp32"
            raise ExportError(200, cause, "leave them out, or use --precision fp16")

    @property
    def _profiled(self) -> bool:
        return any(FORMATS[name].profiled for name in self.formats)

    @property
    def bounds(self) -> tuple[float, float]:
        """The largest allowed error and the smallest allowed PSNR."""
        return (
            TOLERANCES[self.precision] if self.tolerance is None else self.tolerance,
            MIN_PSNR[self.precision] if self.min_psnr is None else self.min_psnr,
        )

    def shapes(self, *, image_channels: int, min_size: int, size_multiple: int) -> Shapes:
        """Resolve the ranges for a network.

        Raises:
            ExportError: E202, a shape that the network does not take, or an empty range.
        """
        smallest = -(-min_size // size_multiple) * size_multiple
        own = Shapes((1, image_channels, smallest, smallest), (None, image_channels, None, None), size_multiple)
        given: Mapping[str, Shape | None] = {
            "--shape": self.shape,
            "--min": self.minimum,
            "--opt": self.optimum,
            "--max": self.maximum,
        }
        for flag, shape in given.items():
            if shape and (problem := own.problem(shape)):
                raise ExportError(202, f"{flag}: {problem}", f"the network takes {own}")
        if self.shape:
            return Shapes(self.shape, self.shape, size_multiple, self.shape if self._profiled else None)
        low, high = self.minimum or own.minimum, self.maximum or own.maximum
        if self._profiled and not self.maximum:
            high = _above(low, _LARGEST, size_multiple, self.optimum)
        for axis, smaller, larger in zip(AXES, low, high, strict=True):
            if larger is not None and smaller > larger:
                raise ExportError(202, f"--min {axis} {smaller} is above --max {axis} {larger}", "swap or widen them")
        if not self._profiled:
            return Shapes(low, high, size_multiple)
        return self._with_optimum(Shapes(low, high, size_multiple))

    def _with_optimum(self, shapes: Shapes) -> Shapes:
        """Choose the size to be quickest at; it must be inside the range."""
        if self.optimum and (problem := shapes.problem(self.optimum)):
            raise ExportError(202, f"--opt: {problem}", f"give one of {shapes}")
        wanted = _above(shapes.minimum, _USUAL, shapes.multiple)
        n, c, h, w = (min(size, high) if high else size for size, high in zip(wanted, shapes.maximum, strict=True))
        return replace(shapes, optimum=self.optimum or (n, c, h, w))


def _above(low: Shape, sides: tuple[int, int], multiple: int, other: Shape | None = None) -> Shape:
    """Give one shape of these sides, rounded down to multiples, that is not below `low` or `other`."""
    batch, channels, height, width = map(max, low, other or low)
    return (
        batch,
        channels,
        max(height, sides[0] // multiple * multiple),
        max(width, sides[1] // multiple * multiple),
    )
