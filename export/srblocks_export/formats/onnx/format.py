"""ONNX by torch's dynamo exporter: one self-contained, deterministic file with readable dimension names."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExportError, first_line
from .. import Loaded
from ..quiet import ONNX_EXPORTER, quiet

if TYPE_CHECKING:  # running an artifact needs neither torch nor the networks
    from srblocks.network import Network

    from ...config import ExportConfig
    from ...shapes import Shapes

ARRAYS = "numpy"
_METADATA = "srblocks"
_NOWHERE = "/srblocks/no/such/folder"
INPUT, OUTPUT = "lr", "sr"
_AXES = {0: "batch", 2: "height", 3: "width"}


def write(
    net: "Network", path: Path, *, shapes: "Shapes", metadata: dict[str, Any], request: "ExportConfig"
) -> dict[str, Any]:
    """Export `net` without the exporter's debug records, which would hold paths of this machine.

    Raises:
        ExportError: E501, another operator set than asked for came out; E502, the network cannot be exported.
    """
    import onnx
    import torch

    from ..torch_export.format import export_program
    from .graph import finish

    names = {axis: name for axis, name in _AXES.items() if shapes.minimum[axis] != shapes.maximum[axis]}
    try:
        # Its deprecations are inside torch and onnxscript.
        with quiet(*ONNX_EXPORTER, ignored=(DeprecationWarning, FutureWarning)):
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
    """Load the model into onnxruntime on the CPU, with threads that do not spin; it reads no other file.

    Raises:
        ValueError: it has other inputs and outputs than an export.
        Exception: onnxruntime's own, and where the model names files with weights.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=False
    )
    metadata = session.get_modelmeta().custom_metadata_map
    if [each.name for each in session.get_inputs()] != [INPUT] or OUTPUT not in [
        each.name for each in session.get_outputs()
    ]:
        raise ValueError(f"its inputs and outputs are not {INPUT} and {OUTPUT}")

    def run(lr: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(session.run([OUTPUT], {INPUT: np.ascontiguousarray(lr)})[0])

    return Loaded(run, json.loads(metadata.get(_METADATA, "{}")))
