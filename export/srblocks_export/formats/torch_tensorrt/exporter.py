"""Compilation by torch_tensorrt: subgraphs that TensorRT supports become engines, the rest stays in PyTorch."""

import copy
import io
import json
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks._utils.files import scratch_folder
from srblocks.network import Network

from ...errors import ExportError, first_line
from ...shapes import Shapes
from ..archive import write_archive
from ..base import WriteContext
from ..quiet import quiet
from ..tensorrt.trt_engine import BuildOptions
from ..torch_export.exporter import drop_traces, dynamic_shapes, export_program
from .fallback import fallback_warnings, operators, partition
from .library import LOGGERS, METADATA, PORTABILITY, import_library, library_facts

_ALTERNATIVES = "use --pt2 or --trt"


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Compile `net` for this GPU; operators that TensorRT does not support stay in PyTorch and are listed.

    The engines are strongly typed: the precision is that of the network.

    Raises:
        ExportError: E200, an option that torch_tensorrt lacks; E401, E402, a library or the GPU is missing; E502, the
            network cannot be traced, or no part of it runs in TensorRT; E702, TensorRT could not build an engine.
    """
    shapes, engine = context.shapes, context.config.engine
    settings = _settings(engine)
    library = import_library()
    portability = library_facts(library) | {
        "hardware": engine.hardware,
        "version_compatible": engine.version_compatible,
    }
    example = _example(shapes).cuda()
    program = export_program(copy.deepcopy(net).cuda(), shapes, example=example)
    count = len(list(operators(program.graph_module)))
    with scratch_folder() as scratch:
        # By default the library uses a cache file that all users of the machine share.
        cache = Path(engine.timing_cache or scratch / "timing.cache").absolute()
        settings |= {"arg_inputs": [_range(library, shapes, example)], "timing_cache_path": str(cache)}
        with quiet(*LOGGERS, collect=True) as errors:
            try:
                compiled = library.dynamo.compile(program, **settings)
            except Exception as error:  # many types, including AssertionError without a text
                raise _failure(net, error, errors) from error
        engines, in_torch = partition(compiled)
        if not engines:
            raise ExportError(502, f"TensorRT supports no operator of {type(net).__name__}", _ALTERNATIVES)
        archive = scratch / "program.pt2"  # the name becomes part of the file
        extra = {METADATA: json.dumps({**context.metadata, PORTABILITY: portability}, sort_keys=True)}
        with quiet(*LOGGERS, collect=True):
            try:
                # library.save alone would do both steps, and record traces with paths of its sources.
                whole = library.dynamo.export(compiled, arg_inputs=(example,), dynamic_shapes=dynamic_shapes(shapes))
                drop_traces(whole)
                library.save(whole, str(archive), extra_files=extra)
            except Exception as error:
                cause = f"torch_tensorrt cannot save {type(net).__name__}: {first_line(error)}"
                raise ExportError(502, cause, _ALTERNATIVES) from error
        write_archive(io.BytesIO(archive.read_bytes()), path)
    return {
        "portability": portability,
        "fallback": {"engines": engines, "operators": count, "in_torch": in_torch},
        "warnings": [*_shape_warnings(shapes, example), *fallback_warnings(in_torch, engines)],
    }


def _settings(engine: BuildOptions) -> dict[str, Any]:
    """Return the compilation arguments for these build options.

    Precisions are not among them: newer versions silently ignore `enabled_precisions`.

    Raises:
        ExportError: E200, torch_tensorrt has no such option.
    """
    if engine.hardware not in ("none", "ampere+"):
        raise ExportError(
            200, f"torch_tensorrt does not support --hardware-compat {engine.hardware}", "use ampere+, or --trt"
        )
    return {
        "disable_tf32": not engine.tf32,
        "workspace_size": engine.workspace or 0,
        "optimization_level": engine.optimization_level,
        "hardware_compatible": engine.hardware == "ampere+",
        "version_compatible": engine.version_compatible,
        "min_block_size": 1,  # build engines for networks with few layers, too
    }


def _example(shapes: Shapes) -> Tensor:
    """Return an input of the optimal size to trace with, because the library optimizes for the traced size.

    It ignores the `opt_shape` of its own inputs. Dynamic sizes of 1 cannot be traced and become 2.
    """
    ranges = zip(*shapes.profile, strict=True)
    return torch.zeros([best if low == high else max(best, 2) for low, best, high in ranges])


def _range(library: Any, shapes: Shapes, example: Tensor) -> Any:
    if shapes.static:
        return library.Input(shape=shapes.minimum, dtype=torch.float32)
    low, _, high = shapes.profile
    return library.Input(min_shape=low, opt_shape=tuple(example.shape), max_shape=high, dtype=torch.float32)


def _shape_warnings(shapes: Shapes, example: Tensor) -> list[str]:
    best, traced = shapes.profile[1], tuple(example.shape)
    if traced == best:
        return []
    sizes = ["x".join(map(str, size)) for size in (traced, best)]
    return [f"torch-trt is optimized for {sizes[0]}, not {sizes[1]}: a dynamic size of 1 cannot be traced"]


def _failure(net: Network, error: Exception, errors: list[str]) -> ExportError:
    """Distinguish unsupported operators from failed builds; the errors that TensorRT logged say more than `error`."""
    name = type(net).__name__
    logging.getLogger("srblocks_export").debug("torch_tensorrt failed", exc_info=error)
    if "UnsupportedOperatorException" in (kind.__name__ for kind in type(error).__mro__):
        return ExportError(502, f"TensorRT cannot compile {name}: {first_line(error)}", _ALTERNATIVES)
    cause = f"TensorRT could not build an engine for {name}: {'; '.join([first_line(error), *errors[-1:]])}"
    return ExportError(702, cause, "use a smaller --max or --workspace, or --pt2")
