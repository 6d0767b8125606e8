"""`trtexec` command lines that build an engine on another machine."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ..onnx import INPUT
from .lint import TARGETS, lint

if TYPE_CHECKING:
    from ...config import ExportConfig
    from ...shapes import Shapes


def trtexec_commands(onnx: Path, name: str, shapes: "Shapes", config: "ExportConfig") -> dict[str, str]:
    """Return the command per TensorRT version whose parser accepts the ONNX file.

    Args:
        onnx: the file at its present path.
        name: its final name.
        shapes: accepted input sizes.
        config: precision and build options.
    """
    options = config.engine
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
    suffixes = {"8.6": " --fp16" if config.precision == "fp16" else "", "10": " --stronglyTyped", "11": ""}
    rejecting = {target for finding in lint(onnx) for target in finding.targets}
    if options.hardware == "same-cc":
        rejecting.add("8.6")
    return {target: command + suffixes[target] for target in TARGETS if target not in rejecting}
