"""Engines of TensorRT for RTX (`.rtx.engine`): built ahead of time, also without a GPU, for RTX GPUs.

They are built and run like those of TensorRT, see `srblocks_export.formats.tensorrt`, but neither library loads the
engines of the other.
"""

from __future__ import annotations

from ..tensorrt.engine_format import EngineFormat
from ..tensorrt.trt_engine import TENSORRT_RTX

FORMAT = EngineFormat(
    "trt-rtx",
    TENSORRT_RTX.suffix,
    "TensorRT engine for RTX GPUs, built without a GPU, made from --onnx, which is written as well",
    __name__,
    builds_with=("onnx", "onnxscript", "onnxruntime"),
    extra="trt-rtx",
    precisions=("fp32", "fp16", "bf16"),
    devices=("cuda",),
    source="onnx",
    needs_range=True,
    builds_ahead=True,
    build_options=("workspace", "optimization_level", "tf32", "compute_capabilities"),
    always_rewrites={"bf16": ("transposed_convolution",)},  # the library has no transposed convolution in bf16
    sidecar=True,
    load_options=("cuda_graph", "reuse_output"),
    library=TENSORRT_RTX,
)
