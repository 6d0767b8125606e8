"""Build TensorRT engines from ONNX files with TensorRT 8.6, 10 or 11.

    python -m srblocks_export.formats.tensorrt.trt_engine model.onnx --min 1x3x8x8 --opt 1x3x64x64 --max 1x3x96x96

For machines that run engines: needs Python 3.9, `tensorrt` and the CUDA driver, but neither torch nor the rest of
srblocks; this folder can be copied there alone. The precision is that of the graph, which is built strongly typed. Only
8.6, which has no typed networks, gets a flag, and may then compute float32 parts of the graph in half precision.
"""

from .build import build_engine, new_logger
from .host import EngineError, host_facts, import_tensorrt, misfit
from .options import BuildOptions, parse_shape

__all__ = [
    "BuildOptions",
    "EngineError",
    "build_engine",
    "host_facts",
    "import_tensorrt",
    "misfit",
    "new_logger",
    "parse_shape",
]
