"""TensorRT engines (`.engine`): plain plans, built from the ONNX file of the same export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine_format import EngineFormat
from .trt_engine import TENSORRT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...manifest import ArtifactInfo
    from ..base import WriteContext


class _TensorRT(EngineFormat):
    """TensorRT engines. On machines that cannot build them, the ONNX file records the trtexec command lines."""

    def source_details(self, source: Path, name: str, context: WriteContext) -> dict[str, Any]:
        """Return the trtexec command per TensorRT version whose parser accepts the ONNX file, and the sizes."""
        from .trtexec import trtexec_commands

        commands = trtexec_commands(source, name, context.shapes, context.config)
        return {"trtexec": commands} | super().source_details(source, name, context)

    def hints(self, source: ArtifactInfo) -> Iterator[str]:
        """Yield the recorded trtexec commands and that of the stand-alone builder."""
        for version, command in source.details.get("trtexec", {}).items():
            yield f"TensorRT {version}: {command}"
        for command in super().hints(source):
            yield f"any of them: {command}"


FORMAT = _TensorRT(
    "trt",
    TENSORRT.suffix,
    "TensorRT engine for GPUs like this one, made from --onnx, which is written as well",
    __name__,
    builds_with=("onnx", "onnxscript", "onnxruntime"),
    extra="trt",
    precisions=("fp32", "fp16", "bf16"),  # those of its ONNX file
    devices=("cuda",),
    source="onnx",
    needs_range=True,
    build_options=("workspace", "optimization_level", "timing_cache", "hardware", "version_compatible", "tf32"),
    sidecar=True,
    load_options=("cuda_graph", "reuse_output"),
    library=TENSORRT,
)
