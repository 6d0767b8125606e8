"""TensorRT engines (`.engine`): plain plans, built from the ONNX file of the same export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import Format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...manifest import ArtifactInfo
    from ..base import WriteContext


class _TensorRT(Format):
    """TensorRT engines. On machines that cannot build them, the ONNX file records the trtexec command lines."""

    def source_details(self, source: Path, name: str, context: WriteContext) -> dict[str, Any]:
        """Return the trtexec command per TensorRT version whose parser accepts the ONNX file."""
        from .trtexec import trtexec_commands

        return {"trtexec": trtexec_commands(source, name, context.shapes, context.config)}

    def hints(self, source: ArtifactInfo) -> Iterator[str]:
        """Yield the recorded trtexec commands and that of the stand-alone builder."""
        for version, command in source.details.get("trtexec", {}).items():
            yield f"TensorRT {version}: {command}"
        yield f"any of them: python -m {__name__}.trt_engine {source.file}"


FORMAT = _TensorRT(
    "trt",
    ".engine",
    "TensorRT engine for GPUs like this one, made from --onnx, which is written as well",
    __name__,
    requires=("tensorrt",),
    builds_with=("onnx", "onnxscript", "onnxruntime"),
    extra="trt",
    precisions=("fp32", "fp16"),  # those of its ONNX file
    devices=("cuda",),
    source="onnx",
    needs_range=True,
    sidecar=True,
    load_options=("cuda_graph", "reuse_output"),
)
