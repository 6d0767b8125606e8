"""Compilation of AOTInductor packages."""

import errno
import io
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from srblocks._utils.files import scratch_folder
from srblocks.network import Network

from ...errors import ExportError, first_line
from ..base import WriteContext, cxx_compiler
from ..quiet import quiet
from ..torch_export.exporter import export_program
from .package import METADATA, machine_paths, rewrite


def write(net: Network, path: Path, context: WriteContext) -> dict[str, Any]:
    """Compile `net` for this machine's CPU or GPU, without sources and other records that contain paths of it.

    Raises:
        ExportError: E302, the folder for temporary files is not writable; E403, no working C++ compiler; E502,
            torch.export cannot trace the network or AOTInductor does not support one of its operators; E703, the
            compilation failed.
    """
    program = export_program(net, context.shapes)
    package = io.BytesIO()
    manifest = json.dumps(context.metadata, sort_keys=True)
    try:
        with scratch_folder() as cache, quiet("torch", level=logging.CRITICAL):
            features = _compile(program, package, context.config.device, manifest, str(cache))
    except Exception as error:  # the compiler raises many types, most of them private
        logging.getLogger("srblocks_export").debug("AOTInductor failed", exc_info=error)
        raise _failure(net, error) from error
    facts = {"torch": torch.__version__.partition("+")[0], "cpu_features": features}
    return {"portability": rewrite(package, path, machine_paths(str(cache)), facts)}


def _compile(
    program: torch.export.ExportedProgram, package: io.BytesIO, device: str, manifest: str, cache: str
) -> dict[str, Any]:
    """Compile into `package`; return the CPU capabilities that the code may use."""
    from torch import _inductor as inductor
    from torch._inductor import config
    from torch._inductor.cpu_vec_isa import pick_vec_isa
    from torch._inductor.utils import fresh_cache

    options: dict[str, Any] = {
        "aot_inductor.metadata": {METADATA: manifest},
        "aot_inductor.model_name_for_generated_files": "model",
        "aot_inductor.precompile_headers": False,  # they would remain in the temporary folder
        "compile_threads": 1,  # no processes that outlive the compilation
        "cpp.dynamic_threads": True,  # as many as are available at run time
    }
    # Use only the recorded instruction sets, and no line numbers; torch 2.11 has neither setting.
    for name, value in (("cpp.march", ""), ("aot_inductor.enable_line_tables", False)):
        if _has(config, name):
            options[name] = value
    if "CXX" not in os.environ and not shutil.which("g++"):
        options["cpp.cxx"] = (None, cxx_compiler())
    if device == "cuda":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    with fresh_cache(dir=cache, delete=False), torch.no_grad():
        inductor.aoti_compile_and_package(program, package_path=package, inductor_configs=options)
        flags = str(pick_vec_isa().build_arch_flags()).split() if "cpp.march" in options else None
    return _features(flags)


def _has(config: Any, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(config, part):
            return False
        config = getattr(config, part)
    return True


def _features(flags: list[str] | None) -> dict[str, Any]:
    """Return the CPU capabilities that the compiler flags enable; flags of None stand for -march=native, i.e. all."""
    capabilities = torch.cpu.get_capabilities()
    able = {name: value for name, value in capabilities.items() if value is True or name.endswith("_max_length")}
    if flags is None or capabilities.get("architecture") != "x86_64":
        return able
    names = {flag.removeprefix("-m").replace("-", "") for flag in flags}
    return {name: value for name, value in able.items() if {name.replace("_", ""), name.removesuffix("3")} & names}


def _failure(net: Network, error: Exception) -> ExportError:
    """Distinguish unsupported operators from failed builds, and find the line that states the reason."""
    from torch._inductor import exc

    while isinstance(inner := getattr(error, "inner_exception", None), Exception):
        error = inner
    name = type(net).__name__
    if isinstance(error, exc.InvalidCxxCompiler):
        return ExportError(403, f"aoti: {first_line(error)}", "install g++ or clang++, or set CXX to it")
    if isinstance(error, exc.OperatorIssue):
        reason = ", ".join(line.strip() for line in str(error).splitlines()[:2])
        return ExportError(502, f"AOTInductor cannot compile {name}: {reason[:200]}", "use --pt2 or --onnx")
    output = getattr(error, "output", None)
    full = os.strerror(errno.ENOSPC)
    if isinstance(error, OSError) or full in str(output):
        reason = full if full in str(output) else getattr(error, "strerror", None) or first_line(error)
        cause = f"aoti: the folder for temporary files is not writable ({reason})"
        return ExportError(302, cause, "free some space, or set TMPDIR to another folder")
    lines = [line.strip() for line in str(output or "").splitlines() if re.search(r"\berror\b", line)]
    reason = lines[0][:200] if lines else first_line(error)
    return ExportError(703, f"the build of {name} failed: {reason}", "check the compiler, or use --pt2")
