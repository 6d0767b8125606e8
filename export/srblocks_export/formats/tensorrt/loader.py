"""Loading of TensorRT engines, after checking that they fit this machine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ExportError
from ...manifest import FILE, read_entries
from ..base import Loaded
from . import runner
from .trt_engine import EngineError, host_facts, misfit


def read(path: Path, *, entry: Mapping[str, Any] | None, cuda_graph: bool, reuse_output: bool) -> Loaded:
    """Load an engine; nothing is deserialized before the manifest's facts are found to fit this machine.

    Raises:
        ExportError: E801, the engine does not fit; E901, no manifest entry, or that of another file.
    """
    manifest = dict(entry or _entry(path))
    plan = path.read_bytes()
    if hashlib.sha256(plan).hexdigest() != manifest["artifact"]["sha256"]:
        raise ExportError(901, f"{path} does not match its manifest entry", "export or build it again")
    portability = manifest["artifact"]["portability"]
    try:
        reason = misfit(portability, host_facts(runner.current_device().index or 0))
    except EngineError as error:
        raise ExportError(error.number, f"{path}: {error.cause}", error.remedy) from error
    if reason:
        raise ExportError(801, f"{path} was {reason}", "build it again here from its ONNX file")
    compatible = bool(portability["version_compatible"])
    run = runner.Engine(plan, version_compatible=compatible, cuda_graph=cuda_graph, reuse_output=reuse_output)
    return Loaded(run, manifest, str(run.device))


def _entry(path: Path) -> dict[str, Any]:
    try:
        entries = read_entries(path.parent)
    except ExportError as error:
        cause = f"{path.parent / FILE} is not a manifest of srblocks-export"
        raise ExportError(901, cause, "keep the manifest of the export in the folder of the engine") from error
    for entry in entries:
        if entry["artifact"]["file"] == path.name:
            return entry
    remedy = f"build the engine with python -m {__package__}.trt_engine"
    raise ExportError(901, f"{path.parent / FILE} does not list {path.name}", remedy)
