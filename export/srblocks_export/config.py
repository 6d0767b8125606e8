"""`ExportConfig`: the options of an export. Its fields are the flags of `srblocks-export`, too."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from srblocks._utils.rounding import round_up

from .errors import ExportError
from .formats import FORMATS, PRECISIONS, Format
from .formats.tensorrt.trt_engine import BuildOptions
from .shapes import AXES, Shape, Shapes, parse_shape

_OPSETS = range(15, 26)
TOLERANCES = {"fp32": 1e-4, "fp16": 3e-2, "bf16": 0.25}
"""Largest allowed error by precision, relative to the standard deviation of the reference output."""
MIN_PSNR = {"fp32": 0.0, "fp16": 55.0, "bf16": 40.0}
"""Smallest allowed PSNR by precision, in dB. Trained networks exceed it by 5 dB, even on black-and-white noise."""
# Default sizes of formats that need a range: up to half of full HD, optimized for a quarter of it.
_LARGEST, _USUAL = (540, 960), (270, 480)
_NAME = re.compile(r"\w[\w .\-]{0,149}")

OUTPUT = Group("Output", sort_key=1)
NETWORK = Group("Network", sort_key=2)
FORMAT = Group("Formats (default: --onnx)", sort_key=3)
SIZES = Group(
    "Sizes (default: dynamic batch, height and width)",
    help=(
        "A shape is NxCxHxW: batch, channels, height and width of the low-resolution input. In messages, 1..x3x8..x8.. "
        "means a batch of 1 or more and sides of 8 or more; 8..64 means 8 to 64."
    ),
    sort_key=4,
)
ENGINES = Group("Target of --aoti, --trt, --trt-rtx and --torch-trt", sort_key=5)
PRECISION = Group("Precision (inputs and outputs are always float32)", sort_key=6)
VERIFICATION = Group("Verification", sort_key=7)
RUN = Group("Run", sort_key=8)


def _shape(type_: object, tokens: Any) -> Shape:
    return parse_shape(tokens[0].value)


def _limit(type_: object, value: float | None) -> None:
    if value is not None and not 0 <= value < math.inf:
        raise ValueError("must be a finite number >= 0")


def _seed(type_: object, value: int) -> None:
    if not 0 <= value < 2**63:
        raise ValueError("must be in 0..2**63-1")


_ShapeOption = Parameter(group=SIZES, negative="", converter=_shape, n_tokens=1, metavar="NxCxHxW")
_Limit = Parameter(group=VERIFICATION, validator=_limit)


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """The options of one export.

    Attributes:
        formats: names of `srblocks_export.formats.FORMATS`; a format that is made from another one adds that one.
        out: folder for the artifacts and manifest.json; created if missing.
        name: stem of the file names; None for network, scale, precision and shape.
        optimize: apply the exact rewrites of `srblocks.optimize` before the export.
        without: names of rewrites to leave out.
        shape: the only shape of a static export; None for dynamic batch, height and width.
        minimum: smallest dynamic shape; None for the network's own.
        optimum: shape that TensorRT engines are optimized for; None for up to 1 x C x 270 x 480.
        maximum: largest dynamic shape; None for no limit, or 1 x C x 540 x 960 where a format needs a limit.
        opset: ONNX operator set, 15 to 25; None for 18, or 22 in bf16, for which it is the first with convolutions.
        device: where an AOTInductor package runs, "cpu" or "cuda".
        engine: how TensorRT builds engines.
        precision: precision of the computation, "fp32", "fp16" or "bf16"; inputs and outputs are float32.
        fp32_modules: regular expressions of modules that stay in float32, see `srblocks.to_precision`.
        calibrate: folder of images, or one image, to check the value range of the precision with; None for the inputs
            of the verification.
        verify: "sizes" (several shapes), "one" (one shape) or "off".
        tolerance: largest allowed error, relative to the standard deviation of the reference output; None for the
            default of the precision.
        min_psnr: smallest allowed PSNR against the reference, in dB; None for the default of the precision.
        seed: seed of the verification inputs.
        force: overwrite existing files.

    Examples:
        >>> ExportConfig(formats=("onnx",), shape=(1, 3, 64, 64)).bounds
        (0.0001, 0.0)
    """

    formats: tuple[str, ...] = ("onnx",)
    out: Annotated[Path, Parameter(name=["--out", "-o"], group=OUTPUT, metavar="DIR", help="Output folder.")] = Path(
        "exported"
    )
    name: Annotated[
        str | None, Parameter(group=OUTPUT, help="Stem of the file names (default: network, scale, precision, shape).")
    ] = None
    optimize: Annotated[
        bool,
        Parameter(group=NETWORK, help="Apply the exact rewrites of srblocks.optimize before the export."),
    ] = True
    without: Annotated[
        tuple[str, ...],
        Parameter(
            group=NETWORK,
            negative="",
            metavar="REWRITE",
            help="Leave out this rewrite, such as transposed_convolution; repeatable.",
        ),
    ] = ()
    shape: Annotated[Shape | None, _ShapeOption, Parameter(help="The only input shape of a static export.")] = None
    minimum: Annotated[Shape | None, _ShapeOption, Parameter(name="--min", help="Smallest dynamic shape.")] = None
    optimum: Annotated[
        Shape | None,
        _ShapeOption,
        Parameter(name="--opt", help="Shape that TensorRT engines are optimized for (default: up to 1xCx270x480)."),
    ] = None
    maximum: Annotated[
        Shape | None,
        _ShapeOption,
        Parameter(name="--max", help="Largest dynamic shape (default: no limit; TensorRT 1xCx540x960)."),
    ] = None
    opset: Annotated[int | None, Parameter(group=SIZES, help="ONNX operator set (default: 18, bf16 22).")] = None
    device: Annotated[Literal["cpu", "cuda"], Parameter(group=ENGINES, help="Device that --aoti compiles for.")] = "cpu"
    engine: BuildOptions = field(default_factory=BuildOptions)
    precision: Annotated[
        Literal["fp32", "fp16", "bf16"],
        Parameter(
            group=PRECISION,
            help="Precision of the computation: fp16 for GPUs, bf16 for GPUs and CPUs that support it.",
        ),
    ] = "fp32"
    fp32_modules: Annotated[
        tuple[str, ...],
        Parameter(
            group=PRECISION,
            negative="",
            metavar="REGEX",
            help=r"Keep modules whose full path matches in float32, such as 'tail' or 'body\.12'; repeatable.",
        ),
    ] = ()
    calibrate: Annotated[
        Path | None,
        Parameter(
            group=PRECISION,
            metavar="DIR",
            help="Low-resolution images to check the value range with (default: inputs of the verification).",
        ),
    ] = None
    verify: Annotated[
        Literal["sizes", "one", "off"],
        Parameter(group=VERIFICATION, help="Compare at several sizes, at one size, or not at all."),
    ] = "sizes"
    tolerance: Annotated[
        float | None,
        _Limit,
        Parameter(help="Largest error relative to the output's std (default: 1e-4, fp16 3e-2, bf16 0.25)."),
    ] = None
    min_psnr: Annotated[
        float | None,
        _Limit,
        Parameter(
            metavar="DB",
            help="Smallest PSNR against float32, for images in [0, 1] (default: none, fp16 55, bf16 40).",
        ),
    ] = None
    seed: Annotated[
        int,
        Parameter(group=VERIFICATION, validator=_seed, help="Seed of random weights and of the verification inputs."),
    ] = 0
    force: Annotated[bool, Parameter(group=OUTPUT, negative="", help="Overwrite existing files.")] = False

    def __post_init__(self) -> None:
        """Reject invalid options and combinations without effect.

        Raises:
            ExportError: E200, or E203 for --shape together with a range.
        """
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "formats", _with_sources(self.formats))
        _choice("verify", self.verify, ("sizes", "one", "off"))
        _choice("device", self.device, ("cpu", "cuda"))
        _choice("precision", self.precision, PRECISIONS)
        for name in ("tolerance", "min_psnr"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ExportError(200, f"invalid {name} {value}", "use a finite number >= 0")
        if self.opset is not None and self.opset not in _OPSETS:
            raise ExportError(200, f"invalid opset {self.opset}", f"use {_OPSETS[0]} to {_OPSETS[-1]}")
        if self.name is not None and not _NAME.fullmatch(self.name):
            remedy = "use up to 150 letters, digits, '.', '-', '_', ' '"
            raise ExportError(200, f"invalid file name {self.name!r}", remedy)
        if self.shape and (self.minimum or self.optimum or self.maximum):
            raise ExportError(203, "--shape excludes --min, --opt and --max", "use either --shape or --min/--opt/--max")
        if self.without and not self.optimize:
            raise ExportError(200, "--without has no effect with --no-optimize", "remove one of them")
        self._check_target()
        self._check_precision()

    def _check_target(self) -> None:
        if self.device != "cpu" and not any(self.device in each.devices for each in self._formats):
            others = _flags(other for other in FORMATS.values() if len(other.devices) > 1)
            raise ExportError(200, f"--device {self.device} has no effect with {self._first}", f"use it with {others}")
        if not self.needs_range and self.optimum:
            others = _flags(other for other in FORMATS.values() if other.needs_range)
            raise ExportError(200, f"--opt has no effect with {self._first}", f"remove it, or use {others}")
        on_gpu = [each for each in self._formats if each.device(self.device) != "cpu"]
        for option in fields(BuildOptions):
            given = getattr(self.engine, option.name) != option.default
            if given and not any(option.name in each.build_options for each in on_gpu):
                able = (other for other in FORMATS.values() if option.name in other.build_options)
                others = _flags(other for other in able if other.device("cpu") != "cpu")
                cause = f"{option.metadata['flag']} has no effect with --{self.formats[-1]}"
                raise ExportError(200, cause, f"remove it, or use {others}")

    def _check_precision(self) -> None:
        unable = [each for each in self._formats if self.precision not in each.precisions]
        if unable:
            able = _flags(other for other in FORMATS.values() if self.precision in other.precisions)
            others = " or ".join(f"--precision {name}" for name in unable[-1].precisions if name != "fp32")
            cause = f"--{unable[-1].name} does not support {self.precision}"
            raise ExportError(200, cause, f"use {able}, or {others}")
        if self.precision == "fp32" and (self.fp32_modules or self.calibrate):
            cause = "--fp32-modules and --calibrate have no effect with --precision fp32"
            raise ExportError(200, cause, "remove them, or use --precision fp16")

    @property
    def _formats(self) -> list[Format]:
        return [FORMATS[name] for name in self.formats]

    @property
    def _first(self) -> str:
        return f"--{self.formats[0]}"

    @property
    def needs_range(self) -> bool:
        """Whether a requested format needs an upper limit and an optimal shape."""
        return any(each.needs_range for each in self._formats)

    @property
    def bounds(self) -> tuple[float, float]:
        """Largest allowed error and smallest allowed PSNR."""
        return (
            TOLERANCES[self.precision] if self.tolerance is None else self.tolerance,
            MIN_PSNR[self.precision] if self.min_psnr is None else self.min_psnr,
        )

    def shapes(self, *, image_channels: int, min_size: int, size_multiple: int, bounded: bool = False) -> Shapes:
        """Resolve the input shapes for a network with these requirements.

        Args:
            image_channels: channels of the network's input.
            min_size: its smallest height and width.
            size_multiple: its height and width are multiples of it.
            bounded: for a format that needs an upper limit and an optimal shape.

        Raises:
            ExportError: E202, a shape that the network rejects, or an empty range.
        """
        smallest = round_up(min_size, size_multiple)
        own = Shapes((1, image_channels, smallest, smallest), (None, image_channels, None, None), size_multiple)
        given: Mapping[str, Shape | None] = {
            "--shape": self.shape,
            "--min": self.minimum,
            "--opt": self.optimum,
            "--max": self.maximum,
        }
        for flag, shape in given.items():
            if shape and (problem := own.problem(shape)):
                raise ExportError(202, f"{flag}: {problem}", f"the network accepts {own}")
        if self.shape:
            return Shapes(self.shape, self.shape, size_multiple, self.shape if bounded else None)
        low, high = self.minimum or own.minimum, self.maximum or own.maximum
        if bounded and not self.maximum:
            high = _at_least(low, _LARGEST, size_multiple, self.optimum)
        for axis, smaller, larger in zip(AXES, low, high, strict=True):
            if larger is not None and smaller > larger:
                raise ExportError(202, f"--min {axis} {smaller} is above --max {axis} {larger}", "swap or widen them")
        shapes = Shapes(low, high, size_multiple)
        return self._with_optimum(shapes) if bounded else shapes

    def _with_optimum(self, shapes: Shapes) -> Shapes:
        """Choose the shape to optimize for, within the range."""
        if self.optimum and (problem := shapes.problem(self.optimum)):
            raise ExportError(202, f"--opt: {problem}", f"use {shapes}")
        wanted = _at_least(shapes.minimum, _USUAL, shapes.multiple)
        n, c, h, w = (min(size, high) if high else size for size, high in zip(wanted, shapes.maximum, strict=True))
        return replace(shapes, optimum=self.optimum or (n, c, h, w))


def _with_sources(formats: Iterable[str]) -> tuple[str, ...]:
    """Return the formats, each after the one that it is made from.

    Raises:
        ExportError: E200, no format or an unknown one.
    """
    names = (formats,) if isinstance(formats, str) else tuple(formats)
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        cause = f"unknown formats {unknown}" if names else "no format"
        raise ExportError(200, cause, f"use one or more of {', '.join(FORMATS)}")
    sources = [(source, name) if (source := FORMATS[name].source) else (name,) for name in names]
    return tuple(dict.fromkeys(name for pair in sources for name in pair))


def _choice(name: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ExportError(200, f"unknown {name} {value!r}", f"use {', '.join(choices)}")


def _flags(formats: Iterable[Format]) -> str:
    return " or ".join(f"--{each.name}" for each in formats)


def _at_least(low: Shape, sides: tuple[int, int], multiple: int, other: Shape | None = None) -> Shape:
    """Return a shape with these sides, rounded down to multiples, that is not below `low` or `other`."""
    batch, channels, height, width = map(max, low, other or low)
    return (
        batch,
        channels,
        max(height, sides[0] // multiple * multiple),
        max(width, sides[1] // multiple * multiple),
    )
