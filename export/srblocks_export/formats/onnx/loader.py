"""Loading of ONNX files into onnxruntime; imports neither torch nor the exporter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import Loaded
from . import INPUT, OUTPUT

METADATA = "srblocks"
_NO_FOLDER = "/srblocks/no/such/folder"


def read(path: Path) -> Loaded:
    """Load a model on the CPU, with threads that do not spin; no other file is read.

    Raises:
        ValueError: the inputs and outputs are not those of an export.
        Exception: onnxruntime's own errors, including models that refer to files with weights.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=False
    )
    metadata = session.get_modelmeta().custom_metadata_map
    inputs, outputs = ([each.name for each in values] for values in (session.get_inputs(), session.get_outputs()))
    if inputs != [INPUT] or OUTPUT not in outputs:
        raise ValueError(f"inputs and outputs must be {INPUT} and {OUTPUT}")

    def run(lr: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(session.run([OUTPUT], {INPUT: np.ascontiguousarray(lr)})[0])

    return Loaded(run, json.loads(metadata.get(METADATA, "{}")))
