"""ONNX files (`.onnx`)."""

from __future__ import annotations

from ..base import Format

INPUT, OUTPUT = "lr", "sr"
"""Names of the graph's input and output."""

FORMAT = Format(
    "onnx",
    ".onnx",
    "ONNX with dynamic batch, height and width, for onnxruntime and others",
    __name__,
    arrays="numpy",
    requires=("onnxruntime",),
    builds_with=("onnx", "onnxscript"),
    extra="onnx",
    load_options=("provider",),
)
