"""Builds TensorRT engines from ONNX files, by TensorRT 8.6, 10 or 11, whichever is installed.

    python -m srblocks_export.formats.tensorrt.trt_engine model.onnx model.engine --min 1x3x8x8 --opt 1x3x64x64 --max 1x3x96x96

For machines that run engines: Python 3.9, `tensorrt` and the CUDA driver, no torch, and nothing else of srblocks, so
that this folder can be copied there alone. Precision is in the graph, which is built strongly typed; only 8.6, which
knows no such thing, is given a flag, and may then compute in half precision what the graph keeps in float32.
"""

from .build import BuildOptions, build_engine, new_logger
from .host import EngineError, host_facts, import_tensorrt, misfit

__all__ = [
    "BuildOptions",
    "EngineError",
    "build_engine",
    "host_facts",
    "import_tensorrt",
    "misfit",
    "new_logger",
]
