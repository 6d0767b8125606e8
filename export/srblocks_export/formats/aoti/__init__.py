"""AOTInductor packages (`.aoti.pt2`): machine code for CPUs like this one, or for GPUs of this kind."""

from __future__ import annotations

from ..base import Format

FORMAT = Format(
    "aoti",
    ".aoti.pt2",
    "AOTInductor package: machine code for CPUs like this one, or for a GPU (--device cuda)",
    __name__,
    min_torch=(2, 11),
    devices=("cpu", "cuda"),
    needs_compiler=True,
    build_options=("tf32",),
)
