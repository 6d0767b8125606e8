"""Build TensorRT engines from ONNX files with TensorRT 8.6, 10 or 11, or with TensorRT for RTX.

    python -m srblocks_export.formats.tensorrt.trt_engine model.onnx --min 1x3x8x8 --opt 1x3x64x64 --max 1x3x96x96

Needs Python 3.9 and the library, but neither torch nor the rest of srblocks; this folder can be copied alone.
TensorRT builds for the GPU of the machine and needs its driver; TensorRT for RTX builds ahead of time, also without a
GPU. The precision is that of the graph, which is built strongly typed. Only TensorRT 8.6, which has no typed networks,
gets a flag, and may then compute float32 parts of the graph in half precision.
"""

from .build import BuiltEngine, build_engine
from .errors import EngineError, Rejection
from .host import header_problem, host_facts, misfit
from .libraries import LIBRARIES, TENSORRT, TENSORRT_RTX, Library, library_version
from .logger import library_logger
from .options import BuildOptions, parse_shape

__all__ = [
    "LIBRARIES",
    "TENSORRT",
    "TENSORRT_RTX",
    "BuildOptions",
    "BuiltEngine",
    "EngineError",
    "Library",
    "Rejection",
    "build_engine",
    "header_problem",
    "host_facts",
    "library_logger",
    "library_version",
    "misfit",
    "parse_shape",
]
