"""AOTInductor packages (`.aoti.pt2`): machine code for processors like this one, or for GPUs of this kind."""

import contextlib
import errno
import io
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srblocks.network import Network

from ...config import ExportConfig
from ...errors import ExportError, first_line
from ...shapes import Shapes
from .. import Loaded, compiler
from ..quiet import quiet
from .package import METADATA, check_host, inspect, private_names, rewrite

ARRAYS = "torch"


def write(
    net: Network, path: Path, *, shapes: Shapes, metadata: dict[str, Any], request: ExportConfig
) -> dict[str, Any]:
    """Compile `net` for this machine's processor or GPU, without sources and other records that name its files.

    Raises:
        ExportError: E302, the folder for temporary files cannot be written; E403, no C++ compiler that works; E502,
            torch.export cannot trace the network or AOTInductor knows no code for one of its operators; E703, the
            compilation failed.
    """
    from ..torch_export.format import export_program

    program = export_program(net, shapes)
    package = io.BytesIO()
    try:
        with tempfile.TemporaryDirectory(prefix="srblocks-") as cache, quiet("torch", level=logging.CRITICAL):
            features = _compile(program, package, request.device, json.dumps(metadata, sort_keys=True), cache)
    except Exception as error:  # the compiler raises many types, most of them private
        logging.getLogger("srblocks_export").debug("AOTInductor failed", exc_info=error)
        raise _failure(net, error) from error
    facts = {"torch": torch.__version__.partition("+")[0], "cpu_features": features}
    return {"portability": rewrite(package, path, private_names(cache), facts)}


def read(path: Path) -> Loaded:
    """Load the package once what it says of itself fits this machine; nothing of it is executed before.

    Raises:
        ExportError: E402, it is for CUDA and there is none; E801, it is for another system, processor or GPU, or needs
            what this machine's torch or system libraries lack.
        ValueError, zipfile.BadZipFile: it is no such package, or corrupt.
    """
    metadata, facts = inspect(path)
    check_host(path, metadata, facts)
    cuda = metadata["AOTI_DEVICE_KEY"] == "cuda"
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    try:
        # torch._inductor.aoti_load_package would besides compile programs here to find out what this processor is.
        bindings: Any = torch._C._aoti  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        loader = bindings.AOTIModelPackageLoader(str(path), "model", False, 1, device.index if cuda else -1)
    except Exception as error:  # the file is as it was written: what it is linked to differs here
        cause = f"{path} was built with torch {facts['torch']}, {torch.__version__} cannot load it: {first_line(error)}"
        raise ExportError(801, cause, "export it again here with --aoti") from error
    manifest = json.loads(metadata[METADATA])
    single = cuda and not manifest["precision"]["tf32"]

    def run(lr: Tensor) -> Tensor:
        # The code computes addresses from sizes: the strides must be those of a fresh tensor, also where an axis of
        # length 1 leaves others possible.
        lr = lr.resolve_neg().reshape(-1).view(lr.shape)
        with torch.inference_mode(), _without_tf32() if single else contextlib.nullcontext():
            return loader.boxed_run([lr])[0]

    return Loaded(run, manifest, str(device))


def _compile(
    program: torch.export.ExportedProgram, package: io.BytesIO, device: str, manifest: str, cache: str
) -> dict[str, Any]:
    """Compile into `package`; give the capabilities of this processor that the code may make use of."""
    from torch import _inductor as inductor
    from torch._inductor import config
    from torch._inductor.cpu_vec_isa import pick_vec_isa
    from torch._inductor.utils import fresh_cache

    options: dict[str, Any] = {
        "aot_inductor.metadata": {METADATA: manifest},
        "aot_inductor.model_name_for_generated_files": "model",
        "aot_inductor.precompile_headers": False,  # they would stay in the user's temporary folder
        "compile_threads": 1,  # no processes that outlive the compilation
        "cpp.dynamic_threads": True,  # as many as there are when it runs
    }
    # Nothing but the recorded instruction sets, and no line numbers; torch 2.11 has neither setting.
    for name, value in (("cpp.march", ""), ("aot_inductor.enable_line_tables", False)):
        if _has(config, name):
            options[name] = value
    if "CXX" not in os.environ and not shutil.which("g++"):
        options["cpp.cxx"] = (None, compiler())
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
    """The capabilities that the compiler's flags allow it to use; None for those of -march=native, which are all."""
    capabilities = torch.cpu.get_capabilities()
    able = {name: value for name, value in capabilities.items() if value is True or name.endswith("_max_length")}
    if flags is None or capabilities.get("architecture") != "x86_64":
        return able
    names = {flag.removeprefix("-m").replace("-", "") for flag in flags}
    return {name: value for name, value in able.items() if {name.replace("_", ""), name.removesuffix("3")} & names}


@contextlib.contextmanager
def _without_tf32() -> Generator[None, None, None]:
    """Let CUDA's libraries compute in float32 what is float32; torch lets convolutions round to TF32."""
    cudnn: Any = torch.backends.cudnn
    libraries = (cudnn.conv, torch.backends.cuda.matmul)
    before = [library.fp32_precision for library in libraries]
    try:
        for library in libraries:
            library.fp32_precision = "ieee"
        yield
    finally:
        for library, precision in zip(libraries, before, strict=True):
            library.fp32_precision = precision


def _failure(net: Network, error: Exception) -> ExportError:
    """Tell what AOTInductor does not know from a build that failed, and find the line that says why."""
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
        cause = f"aoti: the folder for temporary files cannot be written ({reason})"
        return ExportError(302, cause, "free some space, or set TMPDIR to another folder")
    lines = [line.strip() for line in str(output or "").splitlines() if re.search(r"\berror\b", line)]
    reason = lines[0][:200] if lines else first_line(error)
    return ExportError(703, f"the build of {name} failed: {reason}", "mend the compiler, or use --pt2")
