"""ONNX export by torch's dynamo exporter: one self-contained, deterministic file with named dimensions."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch

from srblocks.network import Network

from ...errors import ExportError, first_line
from ..base import WriteContext
from ..quiet import ONNX_EXPORTER, quiet
from ..torch_export.exporter import export_program
from . import INPUT, OUTPUT
from .graph import clean_up
from .loader import METADATA

_OPSETS = {"bf16": 22}
"""First operator set with convolutions of a precision, if it is above the default one."""
_AXES = {0: "batch", 2: "height", 3: "width"}


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Export `net` without the exporter's debug records, which would contain paths of this machine.

    Raises:
        ExportError: E501, the exporter wrote another opset than requested; E502, the network cannot be exported.
    """
    shapes, opset = context.shapes, context.config.opset or _OPSETS.get(context.config.precision, 18)
    names = {axis: name for axis, name in _AXES.items() if shapes.minimum[axis] != shapes.maximum[axis]}
    try:
        # The deprecation warnings are about code of torch and onnxscript.
        with quiet(*ONNX_EXPORTER, categories=(DeprecationWarning, FutureWarning)):
            program = torch.onnx.export(
                export_program(net, shapes, modules=True),
                dynamo=True,
                dynamic_shapes=(names,) if names else None,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=opset,
                verbose=False,
            )
    except ExportError:
        raise
    except Exception as error:  # the exporter raises many types, its own and the network's
        raise ExportError(
            502,
            f"the ONNX exporter failed for {type(net).__name__}: {first_line(error)}",
            "widen --min/--max, or use a static --shape",
        ) from error
    assert program is not None
    model = program.model_proto
    for axis, name in names.items():
        size = model.graph.output[0].type.tensor_type.shape.dim[axis]
        size.dim_param = name if axis == 0 else f"{net.scale}*{name}"
    written = next(entry.version for entry in model.opset_import if entry.domain == "")
    if written != opset:
        raise ExportError(501, f"opset {opset} requested, but the exporter wrote {written}", f"use --opset {written}")
    clean_up(model)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(context.metadata, sort_keys=True)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return {"opset": written, "ir": model.ir_version}
