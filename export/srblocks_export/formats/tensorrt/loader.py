"""Loading of engines, after checking that they fit this machine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError
from ...manifest import FILE, read_entries
from ..base import Loaded
from .trt_engine import EngineError, header_problem, host_facts, misfit

if TYPE_CHECKING:
    from .engine_format import EngineFormat


def read(
    target: "EngineFormat", path: Path, *, entry: Mapping[str, Any] | None, cuda_graph: bool, reuse_output: bool
) -> Loaded:
    """Load an engine; nothing is deserialized before the manifest's facts are found to fit this machine.

    Kernels that the library compiles while it runs are kept in a file next to the engine.

    Raises:
        ExportError: E801, the engine does not fit; E901, no manifest entry, or that of another file.
    """
    from . import runner

    manifest = dict(entry or _entry(path))
    plan = _checked(target, path, manifest, device=runner.current_device().index or 0)
    run = runner.Engine(
        plan,
        target.library,
        version_compatible=bool(manifest["artifact"]["portability"].get("version_compatible")),
        cuda_graph=cuda_graph,
        reuse_output=reuse_output,
        cache=None if entry else path.with_name(f"{path.name}.cache"),
    )
    return Loaded(run, manifest, str(run.device))


def inspect(target: "EngineFormat", path: Path, entry: Mapping[str, Any]) -> list[str]:
    """Check an engine without a GPU; return what was checked, one line each.

    Raises:
        ExportError: E801, it was built on another system or by another version, or its header is not valid.
    """
    _checked(target, path, entry, device=None)
    version = entry["artifact"]["portability"]["tensorrt"]
    return [f"read back in a fresh process: {target.library.title} {version} accepts the header"]


def _checked(target: "EngineFormat", path: Path, entry: Mapping[str, Any], *, device: int | None) -> bytes:
    """Return the plan if it fits this machine; None as `device` leaves the GPU out."""
    plan = path.read_bytes()
    if hashlib.sha256(plan).hexdigest() != entry["artifact"]["sha256"]:
        raise ExportError(901, f"{path} does not match its manifest entry", "export or build it again")
    try:
        reason = misfit(entry["artifact"]["portability"], host_facts(device, target.library))
    except EngineError as error:
        raise ExportError(error.number, f"{path}: {error.cause}", error.remedy) from error
    if reason := reason or header_problem(target.library.load(), plan):
        raise ExportError(801, f"{path} does not fit this machine: {reason}", "build it again here from its ONNX file")
    return plan


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
