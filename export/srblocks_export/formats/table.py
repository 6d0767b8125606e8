"""The table of export formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import aoti, onnx, tensorrt, tensorrt_rtx, torch_export, torch_tensorrt, torchscript

if TYPE_CHECKING:
    from pathlib import Path

    from .base import Format

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (torchscript, onnx, torch_export, aoti, tensorrt, tensorrt_rtx, torch_tensorrt)
}
"""Formats by name, in the order of ``--help``."""


def format_of(path: Path) -> Format | None:
    """Return the format with the suffix of this file, the longest if several match; None if there is none."""
    matching = [each for each in FORMATS.values() if path.name.endswith(each.suffix)]
    return max(matching, key=lambda each: len(each.suffix), default=None)
