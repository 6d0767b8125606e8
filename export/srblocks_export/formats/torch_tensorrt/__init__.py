"""torch.export programs that contain TensorRT engines (`.trt.pt2`), made and run by torch_tensorrt."""

from __future__ import annotations

from ..base import Format

FORMAT = Format(
    "torch-trt",
    ".trt.pt2",
    "torch.export program with TensorRT engines inside, for torch_tensorrt.load",
    __name__,
    min_torch=(2, 11),
    requires=("tensorrt", "torch_tensorrt"),
    extra="trt",
    devices=("cuda",),
    needs_range=True,
    build_options=("workspace", "optimization_level", "timing_cache", "hardware", "version_compatible", "tf32"),
)
