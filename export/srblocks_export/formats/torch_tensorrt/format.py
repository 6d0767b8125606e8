"""torch.export programs with TensorRT engines inside (`.trt.pt2`), made and run by torch_tensorrt."""

import contextlib
import copy
import importlib
import io
import json
import logging
import tempfile
import warnings
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks.network import Network

from ...config import ExportConfig
from ...errors import ExportError, first_line
from ...shapes import Shapes
from .. import FORMATS, Loaded
from ..archive import write_archive
from ..tensorrt.trt_engine import BuildOptions, EngineError, host_facts, misfit
from ..torch_export.format import drop_traces, dynamic_shapes, export_program
from .fallback import division, operators, remarks

ARRAYS = "torch"
_METADATA = "srblocks.json"
_PORTABILITY = "portability"
# The library's own logger, and the one that it hands TensorRT's messages to.
_LOGGERS = ("torch_tensorrt", "torch_tensorrt [TensorRT Conversion Context]")
_ELSEWHERE = "use --pt2 or --trt"


def write(
    net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportConfig
) -> dict[str, Any]:
    """Compile `net` for this GPU; what TensorRT has no operator for stays in PyTorch, and is named.

    The precision is that of the network: the engines are strongly typed.

    Raises:
        ExportError: E200, an option that torch_tensorrt lacks; E401, E402, a library or the GPU is missing; E502, the
            network cannot be traced, or nothing of it runs in TensorRT; E702, TensorRT gave no engine.
    """
    settings = _settings(request.engine)
    library = _library()
    portability = _facts(library) | {
        "hardware": request.engine.hardware,
        "version_compatible": request.engine.version_compatible,
    }
    example = _example(shapes).cuda()
    program = export_program(copy.deepcopy(net).cuda(), shapes, example=example)
    count = len(list(operators(program.graph_module)))
    with tempfile.TemporaryDirectory(prefix="srblocks-") as scratch:
        # Without a file of our own the library reads and writes one that it shares with whoever uses this machine.
        cache = Path(request.engine.timing_cache or Path(scratch) / "timing.cache").absolute()
        settings |= {"arg_inputs": [_range(library, shapes, example)], "timing_cache_path": str(cache)}
        with _quiet() as errors:
            try:
                compiled = library.dynamo.compile(program, **settings)
            except Exception as error:  # it raises many types, AssertionError without a text among them
                raise _failure(net, error, errors) from error
        engines, left = division(compiled)
        if not engines:
            raise ExportError(502, f"TensorRT has no operator of {type(net).__name__}", _ELSEWHERE)
        archive = Path(scratch) / "program.pt2"  # the name becomes part of the file
        extra = {_METADATA: json.dumps(metadata | {_PORTABILITY: portability}, sort_keys=True)}
        with _quiet():
            try:
                # Its save would do both in one, and record traces with the paths of its sources.
                whole = library.dynamo.export(compiled, arg_inputs=(example,), dynamic_shapes=dynamic_shapes(shapes))
                drop_traces(whole)
                library.save(whole, str(archive), extra_files=extra)
            except Exception as error:
                cause = f"torch_tensorrt cannot save {type(net).__name__}: {first_line(error)}"
                raise ExportError(502, cause, _ELSEWHERE) from error
        write_archive(io.BytesIO(archive.read_bytes()), path)
    return {
        "portability": portability,
        "fallback": {"engines": engines, "operators": count, "in_torch": left},
        "warnings": [*_remarks(shapes, example), *remarks(left, engines)],
    }


def read(path: Path) -> Loaded:
    """Load the program once what it says of itself fits this machine; nothing of it is executed before.

    Raises:
        ExportError: E401, E402, a library or the GPU is missing; E801, it was made by other versions or for another GPU
            or system.
        ValueError, zipfile.BadZipFile: it is no such program, or corrupt.
    """
    metadata = _embedded(path)
    made = metadata.pop(_PORTABILITY)
    library = _library()
    here = _facts(library)
    if _minor(made["torch_tensorrt"]) != _minor(here["torch_tensorrt"]):
        ours = here["torch_tensorrt"]
        reason: str | None = f"built by torch_tensorrt {made['torch_tensorrt']}, this is {ours}"
    else:
        reason = misfit(made, here)
    if reason:
        raise ExportError(801, f"{path} was {reason}", "export it again here with --torch-trt")
    with _quiet():
        module = library.load(str(path)).module()

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            # Engines compute addresses from sizes; an axis of length 1 would leave other strides possible.
            sr = module(lr.resolve_neg().reshape(-1).view(lr.shape))
        return sr if isinstance(sr, Tensor) else sr[0]  # parts lose what the network's output was packed in

    return Loaded(run, metadata, "cuda")


def _library() -> Any:
    """Give torch_tensorrt.

    Raises:
        ExportError: E401, it is not installed or does not load.
    """
    with _quiet():
        try:
            return importlib.import_module("torch_tensorrt")
        except Exception as error:  # without TensorRT's libraries it raises a bare Exception
            cause = f"torch-trt: torch_tensorrt does not load ({first_line(error)})"
            raise ExportError(401, cause, FORMATS["torch-trt"].remedy) from error


def _facts(library: Any) -> dict[str, Any]:
    """What a program made here is bound to."""
    try:
        facts = host_facts(torch.cuda.current_device())
    except EngineError as error:
        raise ExportError(error.number, f"torch-trt: {error.cause}", error.remedy) from error
    return facts | {"torch_tensorrt": library.__version__, "torch": str(torch.__version__)}


def _minor(version: Any) -> list[str]:
    return str(version).split(".")[:2]


def _settings(engine: BuildOptions) -> dict[str, Any]:
    """The arguments of the compilation that say how TensorRT builds.

    Precisions are not among them: newer versions ignore `enabled_precisions` silently.

    Raises:
        ExportError: E200, there is no such argument.
    """
    if engine.hardware not in ("none", "ampere+"):
        raise ExportError(200, f"torch_tensorrt knows no engines for {engine.hardware!r}", "use ampere+, or --trt")
    return {
        "disable_tf32": not engine.tf32,
        "workspace_size": engine.workspace or 0,
        "optimization_level": engine.optimization_level,
        "hardware_compatible": engine.hardware == "ampere+",
        "version_compatible": engine.version_compatible,
        "min_block_size": 1,  # a network of few layers is to have its engine too
    }


def _example(shapes: Shapes) -> Tensor:
    """An input of the size to be quickest at, which the library takes from what the program was traced with.

    It ignores the `opt_shape` of its own inputs. A size of 1 that may grow cannot be traced: 2 instead.
    """
    ranges = zip(*shapes.profile, strict=True)
    return torch.zeros([best if low == high else max(best, 2) for low, best, high in ranges])


def _range(library: Any, shapes: Shapes, example: Tensor) -> Any:
    if shapes.static:
        return library.Input(shape=shapes.minimum, dtype=torch.float32)
    low, _, high = shapes.profile
    return library.Input(min_shape=low, opt_shape=tuple(example.shape), max_shape=high, dtype=torch.float32)


def _remarks(shapes: Shapes, example: Tensor) -> list[str]:
    best, traced = shapes.profile[1], tuple(example.shape)
    if traced == best:
        return []
    sizes = ["x".join(map(str, size)) for size in (traced, best)]
    return [f"torch-trt is quickest at {sizes[0]}, not at {sizes[1]}: a size of 1 that may grow cannot be traced"]


def _failure(net: Network, error: Exception, errors: list[str]) -> ExportError:
    """Tell what TensorRT does not know from a build that failed; its own words say more than the exception."""
    name = type(net).__name__
    logging.getLogger("srblocks_export").debug("torch_tensorrt failed", exc_info=error)
    if "UnsupportedOperatorException" in (kind.__name__ for kind in type(error).__mro__):
        return ExportError(502, f"TensorRT cannot compile {name}: {first_line(error)}", _ELSEWHERE)
    cause = f"TensorRT gave no engine for {name}: {'; '.join([first_line(error), *errors[-1:]])}"
    return ExportError(702, cause, "use a smaller --max or --workspace, or --pt2")


def _embedded(path: Path) -> dict[str, Any]:
    """Read the manifest from the archive, which executes nothing of it.

    Raises:
        ValueError, zipfile.BadZipFile: there is none that tells where the file fits.
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{_METADATA}")]
        metadata = json.loads(archive.read(names[0])) if len(names) == 1 else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_PORTABILITY), dict):
        raise ValueError("it does not say what it was made by")
    return metadata


class _Errors(logging.Handler):
    """Keeps the first lines of what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().strip().splitlines()
        self.lines += lines[:1]


@contextlib.contextmanager
def _quiet() -> Generator[list[str], None, None]:
    """Leave out what the library prints, warns of and logs; give the errors that it logs."""
    handler = _Errors()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    states = [(logger.level, logger.propagate) for logger in loggers]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
            logger.propagate = False
            logger.addHandler(handler)
        try:
            yield handler.lines
        finally:
            for logger, (level, propagate) in zip(loggers, states, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
                logger.propagate = propagate
