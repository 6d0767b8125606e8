"""TensorRT engines: plain plans, built from the ONNX file of the same export, with manifest.json beside them."""

import contextlib
import hashlib
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from ...errors import ExportError
from .. import FORMATS, Loaded
from ..onnx.format import INPUT
from .trt_engine import EngineError, build_engine, host_facts, import_tensorrt, misfit

if TYPE_CHECKING:
    from srblocks.network import Network

    from ...config import ExportConfig
    from ...shapes import Shapes

ARRAYS = "torch"


def write(
    net: "Network",
    path: Path,
    *,
    shapes: "Shapes",
    metadata: dict[str, Any],
    request: "ExportConfig",
    source: Path,
) -> dict[str, Any]:
    """Build the engine of the finished ONNX file `source` for the sizes of `shapes`.

    Raises:
        ExportError: E503, TensorRT's parser takes no such operators; E401, E402, TensorRT or a GPU is missing; E403, an
            option that this TensorRT lacks; E701, too little memory; E702, TensorRT gave no engine.
    """
    from .lint import check
    from .runner import current_device

    del net, metadata
    missing = FORMATS["trt"].missing()
    warnings = check(source, target=None if missing else import_tensorrt().__version__)
    if missing:
        raise ExportError(missing.number, f"trt: {missing.what}, {source.name} is ready", missing.remedy)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # once torch_tensorrt is imported, probing TensorRT prints
            profile, number = None if shapes.static else shapes.profile, current_device().index or 0
            plan, portability = build_engine(source, profile, request.engine, device=number)
    except EngineError as error:
        raise ExportError(error.number, f"trt: {error.cause}", error.remedy) from error
    path.write_bytes(plan)
    return {"portability": portability, "warnings": warnings}


def read(path: Path, *, entry: dict[str, Any] | None = None, cuda_graph: bool, reuse_output: bool) -> Loaded:
    """Load an engine once its manifest says that it fits this machine.

    Raises:
        ExportError: E801, it does not; E901, there is no manifest of it, or of another file of that name.
    """
    from .runner import Engine, current_device

    entry = entry or _entry(path)
    plan = path.read_bytes()
    if hashlib.sha256(plan).hexdigest() != entry["artifact"]["sha256"]:
        raise ExportError(901, f"{path} is not the file that its manifest describes", "export or build it again")
    portability = entry["artifact"]["portability"]
    try:
        reason = misfit(portability, host_facts(current_device().index or 0))
    except EngineError as error:
        raise ExportError(error.number, f"{path}: {error.cause}", error.remedy) from error
    if reason:
        raise ExportError(801, f"{path} was {reason}", "build it again here, from the ONNX file beside it")
    compatible = bool(portability["version_compatible"])
    run = Engine(plan, version_compatible=compatible, cuda_graph=cuda_graph, reuse_output=reuse_output)
    return Loaded(run, entry, str(run.device))


def trtexec_lines(onnx: Path, name: str, shapes: "Shapes", request: "ExportConfig") -> dict[str, str]:
    """Give the command that builds the engine, by the TensorRT whose parser takes the ONNX file.

    Args:
        onnx: the file as it lies there now.
        name: of the file once it is finished.
        shapes: what the engine is to take.
        request: its precision and how to build.
    """
    from .lint import TARGETS, lint

    options = request.engine
    command = f"trtexec --onnx={quote(name)} --saveEngine={quote(str(Path(name).with_suffix('.engine')))}"
    if not shapes.static:
        for kind, shape in zip(("min", "opt", "max"), shapes.profile, strict=True):
            command += f" --{kind}Shapes={INPUT}:{'x'.join(map(str, shape))}"
    if not options.tf32:
        command += " --noTF32"
    if options.workspace is not None:
        command += f" --memPoolSize=workspace:{options.workspace / 2**20:.6g}"
    if options.optimization_level is not None:
        command += f" --builderOptimizationLevel={options.optimization_level}"
    if options.timing_cache:
        command += f" --timingCacheFile={quote(options.timing_cache)}"
    if options.version_compatible:
        command += " --versionCompatible"
    if options.hardware != "none":
        command += f" --hardwareCompatibilityLevel={options.hardware.replace('same-cc', 'sameComputeCapability')}"
    ends = {"8.6": " --fp16" if request.precision == "fp16" else "", "10": " --stronglyTyped", "11": ""}
    refusing = {target for finding in lint(onnx) for target in finding.targets}
    if options.hardware == "same-cc":
        refusing.add("8.6")
    return {target: command + ends[target] for target in TARGETS if target not in refusing}


def _entry(path: Path) -> dict[str, Any]:
    from ...manifest import FILE, read_entries

    try:
        entries = read_entries(path.parent)
    except ExportError as error:
        cause = f"{path.parent / FILE} is no manifest of srblocks-export"
        raise ExportError(901, cause, "keep that of the export beside the engine") from error
    for entry in entries:
        if entry["artifact"]["file"] == path.name:
            return entry
    remedy = "build the engine by python -m srblocks_export.formats.tensorrt.trt_engine"
    raise ExportError(901, f"{path.parent / FILE} does not list {path.name}", remedy)
