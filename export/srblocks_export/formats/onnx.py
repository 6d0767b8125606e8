"""ONNX by torch's dynamo exporter: one self-contained, deterministic file with readable dimension names."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError, first_line
from . import Loaded

if TYPE_CHECKING:  # running an artifact needs neither torch nor the networks
    from srblocks.network import Network

    from ..request import ExportRequest
    from ..shapes import Shapes

ARRAYS = "numpy"
_METADATA = "srblocks"
INPUT, OUTPUT = "lr", "sr"
_AXES = {0: "batch", 2: "height", 3: "width"}


def write(
    net: "Network", path: Path, *, shapes: "Shapes", metadata: dict[str, Any], request: "ExportRequest"
) -> dict[str, Any]:
    """Export `net` without the exporter's debug records, which would hold paths of this machine.

    Raises:
        ExportError: E501, another operator set than asked for came out; E502, the network cannot be exported.
    """
    import onnx
    import torch

    from .onnx_graph import finish
    from .pt2 import export_program

    names = {axis: name for axis, name in _AXES.items() if shapes.minimum[axis] != shapes.maximum[axis]}
    try:
        with _quiet():
            program = torch.onnx.export(
                export_program(net, shapes, modules=True),
                dynamo=True,
                dynamic_shapes=(names,) if names else None,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=request.opset,
                verbose=False,
            )
    except ExportError:
        raise
    except Exception as error:  # the exporter raises many types, its own and the network's
        raise ExportError(
            502,
            f"the ONNX exporter cannot take {type(net).__name__}: {first_line(error)}",
            "widen --min/--max, or use a static --shape",
        ) from error
    assert program is not None
    model = program.model_proto
    for axis, name in names.items():
        size = model.graph.output[0].type.tensor_type.shape.dim[axis]
        size.dim_param = name if axis == 0 else f"{net.scale}*{name}"
    written = next(entry.version for entry in model.opset_import if entry.domain == "")
    if written != request.opset:
        raise ExportError(
            501, f"opset {request.opset} requested but the exporter wrote {written}", f"use --opset {written}"
        )
    finish(model)
    onnx.helper.set_model_props(model, {_METADATA: json.dumps(metadata, sort_keys=True)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return {"opset": written, "ir": model.ir_version}


def read(path: Path) -> Loaded:
    """Load the model into onnxruntime on the CPU, with threads that do not spin."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map

    def run(lr: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(session.run([OUTPUT], {INPUT: np.ascontiguousarray(lr)})[0])

    return Loaded(run, json.loads(metadata.get(_METADATA, "{}")))


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Leave out the exporter's progress lines and the deprecations inside torch and onnxscript that it triggers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
