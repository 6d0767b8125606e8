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


def read(path: Path, *, provider: str | None = None) -> Loaded:
    """Load a model, with threads that do not spin; no other file is read.

    On the CPU, bfloat16 is emulated, see `srblocks_export.formats.onnx.bfloat16`.

    Args:
        path: the file.
        provider: where to run it, see `srblocks_export.formats.onnx.providers.PROVIDERS`; None for the CPU.

    Raises:
        ExportError: the provider is missing or does not run the model.
        ValueError: the inputs and outputs are not those of an export.
        Exception: onnxruntime's own errors, including models that refer to files with weights.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    content = path.read_bytes()
    if provider:
        from .providers import PROVIDERS, new_session

        session, device = new_session(onnxruntime, content, options, provider), PROVIDERS[provider].device
    else:
        session, device = _cpu_session(onnxruntime, content, options), "cpu"
    metadata = session.get_modelmeta().custom_metadata_map
    inputs, outputs = ([each.name for each in values] for values in (session.get_inputs(), session.get_outputs()))
    if inputs != [INPUT] or OUTPUT not in outputs:
        raise ValueError(f"inputs and outputs must be {INPUT} and {OUTPUT}")

    def run(lr: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(session.run([OUTPUT], {INPUT: np.ascontiguousarray(lr)})[0])

    return Loaded(run, json.loads(metadata.get(METADATA, "{}")), device)


def _cpu_session(runtime: Any, content: bytes, options: Any) -> Any:
    """Return a session on the CPU; bfloat16, for which onnxruntime has no convolution there, is emulated."""

    def create(model: bytes) -> Any:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=False)

    errors = runtime.capi.onnxruntime_pybind11_state
    try:
        return create(content)
    except (errors.NotImplemented, errors.InvalidGraph):  # the latter before operator set 22
        from .bfloat16 import emulated

        return create(emulated(content))
