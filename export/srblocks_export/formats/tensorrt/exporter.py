"""Builds of engines from the finished ONNX file."""

import contextlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError
from ..base import WriteContext
from .lint import check, check_misread
from .trt_engine import BuildOptions, BuiltEngine, EngineError, Rejection, build_engine, library_version

if TYPE_CHECKING:
    from .engine_format import EngineFormat

_TYPES = {"FLOAT": "FLOAT", "FLOAT16": "HALF", "BFLOAT16": "BF16"}
"""ONNX names of the floating-point types, and those of TensorRT."""


def write(target: "EngineFormat", path: Path, context: WriteContext) -> dict[str, Any]:
    """Build the engine of ``context.source`` for the range of ``context.shapes``.

    Raises:
        ExportError: E503, the parser rejects a node; E401, E402, the library or a GPU is missing; E403, an option that
            the library lacks; E601, the types of the engine are not those of the ONNX file; E701, too little memory;
            E702, the engine cannot be built.
    """
    source, shapes = context.source, context.shapes
    assert source is not None
    if missing := target.missing():
        # The table of rules needs no TensorRT: unsupported operators are reported even where nothing can be built.
        if not target.builds_ahead:
            check(source)
        cause = f"{target.name}: {missing.what}; {source.name} was written"
        raise ExportError(missing.number, cause, missing.remedy)
    check_misread(source, "11" if target.builds_ahead else library_version(target.library.load()))
    own = {name: getattr(context.config.engine, name) for name in target.build_options}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # with torch_tensorrt imported, TensorRT prints
            built = build_engine(
                source,
                None if shapes.static else shapes.profile,
                replace(BuildOptions(), **own),
                library=target.library,
                device=0 if target.builds_ahead else _current_device(),
            )
    except EngineError as error:
        raise export_error(target, error, source) from error
    path.write_bytes(built.plan)
    warnings = [f"warning: {target.name}: {warning}" for warning in built.warnings]
    details: dict[str, Any] = {"portability": built.facts, "warnings": warnings}
    if built.device_memory is not None:
        details["device_memory"] = built.device_memory
    return details | {"checks": _checks(target, built, source)}


def _current_device() -> int:
    from . import runner

    return runner.current_device().index or 0


def export_error(target: "EngineFormat", error: EngineError, source: Path) -> ExportError:
    """Return the error of a build under the name of the format, with the names of all rejected nodes."""
    cause = error.cause
    if error.rejections:
        named = [_named(rejection, source) for rejection in error.rejections]
        cause = cause.replace(", ".join(map(str, error.rejections)), ", ".join(map(str, named)))
    return ExportError(error.number, f"{target.name}: {cause}", error.remedy)


def _named(rejection: Rejection, source: Path) -> Rejection:
    """Return a rejection with the name of its node, of which the parser knows only the number or the operator."""
    import onnx

    from ..onnx.graph import scopes

    number, operator = rejection.number, rejection.operator
    if rejection.node or rejection.inside or (number < 0 and not operator):
        return rejection
    model = onnx.load(source, load_external_data=False)
    if number >= 0:
        node = model.graph.node[number]
    else:
        nodes = (node for scope in scopes(model) for graph in scope for node in graph.node)
        left = (node for node in nodes if node.op_type == operator and node.name not in rejection.imported)
        node = next(left, None)
    return rejection._replace(node=node.name, operator=node.op_type) if node else rejection


def _checks(target: "EngineFormat", built: BuiltEngine, source: Path) -> list[str]:
    """Return what the build proves, one line each.

    Raises:
        ExportError: E601, a tensor has another type than in the ONNX file.
    """
    library = f"{target.library.title} {built.facts['tensorrt']}"
    places = built.facts.get("compute_capabilities") or [built.facts["compute_capability"]]
    memory = f", needs {built.device_memory / 1e6:,.0f} MB of device memory" if built.device_memory else ""
    checks = [f"parsed and built by {library} for compute capability {', '.join(places)}{memory}"]
    if built.tensor_types:
        counts = Counter(_equal_types(target, built, source))
        checks.append("types as in the ONNX file: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    return checks


def _equal_types(target: "EngineFormat", built: BuiltEngine, source: Path) -> list[str]:
    """Return the floating-point type of every tensor that the ONNX file and the built network share.

    Raises:
        ExportError: E601, they differ.
    """
    import onnx
    from onnx import TensorProto

    from ..onnx.graph import Values, scopes

    found: dict[str, str] = {}
    for scope in scopes(onnx.load(source, load_external_data=False)):
        values = Values(scope)
        kinds = {name: TensorProto.DataType.Name(values.dtype(name)) for name in built.tensor_types}
        found |= {name: _TYPES[kind] for name, kind in kinds.items() if kind in _TYPES}
    for name, expected in found.items():
        if built.tensor_types[name] != expected:
            cause = f"{target.name}: tensor {name} is {built.tensor_types[name]}, but {expected} in {source.name}"
            raise ExportError(601, cause, "use another version of the library")
    return list(found.values())
