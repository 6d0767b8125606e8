"""Loading of programs with TensorRT engines, after checking that they fit this machine."""

import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import ExportError
from ..base import Loaded
from ..quiet import quiet
from ..tensorrt.trt_engine import misfit
from .library import LOGGERS, METADATA, PORTABILITY, import_library, library_facts


def read(path: Path) -> Loaded:
    """Load a program; none of it runs before the recorded facts are found to fit this machine.

    Raises:
        ExportError: E401, E402, a library or the GPU is missing; E801, made by other versions or for another GPU or
            system.
        ValueError, zipfile.BadZipFile: the file is foreign or corrupt.
    """
    metadata = _embedded(path)
    made = metadata.pop(PORTABILITY)
    library = import_library()
    here = library_facts(library)
    if _minor(made["torch_tensorrt"]) != _minor(here["torch_tensorrt"]):
        version = here["torch_tensorrt"]
        reason: str | None = f"built by torch_tensorrt {made['torch_tensorrt']}, this is {version}"
    else:
        reason = misfit(made, here)
    if reason:
        raise ExportError(801, f"{path} was {reason}", "export it again here with --torch-trt")
    with quiet(*LOGGERS, collect=True):
        module = library.load(str(path)).module()

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            # Engines compute addresses from sizes, so that strides must be those of a fresh tensor, even for axes of
            # length 1, whose strides are otherwise arbitrary.
            sr = module(lr.resolve_neg().reshape(-1).view(lr.shape))
        return sr if isinstance(sr, Tensor) else sr[0]  # split programs return a tuple

    return Loaded(run, metadata, "cuda")


def _minor(version: Any) -> list[str]:
    return str(version).split(".")[:2]


def _embedded(path: Path) -> dict[str, Any]:
    """Return the embedded metadata without executing anything of the file.

    Raises:
        ValueError, zipfile.BadZipFile: there is none, or it does not record the build.
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{METADATA}")]
        metadata = json.loads(archive.read(names[0])) if len(names) == 1 else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get(PORTABILITY), dict):
        raise ValueError("no record of the build")
    return metadata
