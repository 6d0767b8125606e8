"""Builds of TensorRT engines from the finished ONNX file."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from srblocks.network import Network

from ...errors import ExportError
from ..base import WriteContext
from . import FORMAT, runner
from .lint import check
from .trt_engine import EngineError, build_engine, import_tensorrt


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Build the engine of ``context.source`` for the range of ``context.shapes``.

    Raises:
        ExportError: E503, TensorRT's parser rejects an operator; E401, E402, TensorRT or a GPU is missing; E403, an
            option that this TensorRT lacks; E701, too little memory; E702, TensorRT could not build the engine.
    """
    source, shapes = context.source, context.shapes
    assert source is not None
    missing = FORMAT.missing()
    # The lint needs no TensorRT: unsupported operators are reported even where nothing can be built.
    warnings = check(source, target=None if missing else import_tensorrt().__version__)
    if missing:
        cause = f"trt: {missing.what}; {source.name} was written"
        raise ExportError(missing.number, cause, missing.remedy)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # with torch_tensorrt imported, TensorRT prints
            profile, number = None if shapes.static else shapes.profile, runner.current_device().index or 0
            plan, portability = build_engine(source, profile, context.config.engine, device=number)
    except EngineError as error:
        raise ExportError(error.number, f"trt: {error.cause}", error.remedy) from error
    path.write_bytes(plan)
    return {"portability": portability, "warnings": warnings}
