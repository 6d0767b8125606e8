"""Building an engine from an ONNX file, in whatever way the installed TensorRT offers.

What TensorRT can do is asked of the library, never concluded from its version.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .host import EngineError, Facts, host_facts, import_tensorrt

Shape = tuple[int, ...]

HARDWARE = ("none", "same-cc", "ampere+")
_LEVELS = {"same-cc": "SAME_COMPUTE_CAPABILITY", "ampere+": "AMPERE_PLUS"}
_UNITS = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_MEMORY = re.compile(r"out of memory|outofmemory|insufficient memory|could not find any implementation", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Parse a size in bytes, such as ``"2GiB"``, ``"512MiB"`` or ``"2GB"``.

    Raises:
        ValueError: the text is not a size.
    """
    found = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in _UNITS:
        raise ValueError(f"invalid size {text!r}, use a number of bytes or a unit, such as 2GiB, 2GB or 512MiB")
    return int(found[1]) * _UNITS[found[2]]


def _option(default: Any, flag: str, text: str, **facts: Any) -> Any:
    return field(default=default, metadata={"flag": flag, "help": text, **facts})


@dataclass(frozen=True)
class BuildOptions:
    """How TensorRT builds an engine. The metadata of the fields declares their command-line flags.

    Attributes:
        workspace: largest scratch memory in bytes; None for TensorRT's default.
        optimization_level: 0 (fast build) to 5 (fast engine); None for TensorRT's default.
        timing_cache: file with the timings of earlier builds, read and written; None for none.
        hardware: GPUs that the engine runs on besides those like the one of the build: "none", "same-cc" (of the same
            compute capability) or "ampere+".
        version_compatible: also runs with later TensorRT versions of the same major version.
        tf32: float32 layers may compute in TF32, with 10 bits of mantissa.
    """

    workspace: int | None = _option(
        None, "--workspace", "Largest scratch memory, such as 2GiB.", parse=parse_size, metavar="SIZE"
    )
    optimization_level: int | None = _option(
        None, "--opt-level", "0 (fast build) to 5 (fast engine).", parse=int, choices=tuple(range(6))
    )
    timing_cache: str | None = _option(
        None, "--timing-cache", "Timings of earlier builds, read and written.", metavar="FILE"
    )
    hardware: str = _option(
        "none",
        "--hardware-compat",
        "Further GPUs that the engine runs on: of the same compute capability, or Ampere and later.",
        choices=HARDWARE,
    )
    version_compatible: bool = _option(
        False, "--version-compatible", "Also run with later TensorRT of the same major version."
    )
    tf32: bool = _option(False, "--tf32", "Let float32 layers compute in TF32.")


def build_engine(
    onnx: Path, profile: Sequence[Shape] | None = None, options: BuildOptions | None = None, *, device: int = 0
) -> tuple[bytes, Facts]:
    """Build an engine on the GPU of this machine.

    Args:
        onnx: the file; one input, its data types are the engine's.
        profile: smallest, best and largest shape of the input; None for a model of one fixed shape.
        options: how to build.
        device: number of the GPU, which is the current one.

    Returns:
        The plan, and what it is bound to: `host_facts` and the options that widen it.

    Raises:
        EngineError: E401, E402 as `host_facts`; E403, an option that this TensorRT lacks; E503, its parser refuses the
            model; E202, shapes that do not fit; E701, too little memory; E702, TensorRT gave no engine.
    """
    options = options or BuildOptions()
    cache_file = Path(options.timing_cache) if options.timing_cache else None
    if cache_file and not cache_file.parent.is_dir():
        raise EngineError(302, f"--timing-cache: {cache_file.parent} is no folder", "create it, or choose another")
    trt, facts = import_tensorrt(), host_facts(device)
    logger = new_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # the factory gave nullptr
        raise EngineError(402, f"TensorRT cannot use the GPU ({logger.last})", "check the CUDA driver") from error
    typed = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    kind = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(1 << int(kind.STRONGLY_TYPED if typed else kind.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx.read_bytes(), str(onnx)):
        said = "; ".join(_parser_error(parser.get_error(number)) for number in range(parser.num_errors)) or logger.last
        raise EngineError(503, f"TensorRT {trt.__version__} does not take {onnx.name}: {said}", "use another TensorRT")
    config = builder.create_builder_config()
    if not typed and _has_half(trt, network):
        config.set_flag(trt.BuilderFlag.FP16)
    cache = _configure(trt, config, options)
    _set_profile(builder, config, network, profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        if _MEMORY.search(logger.last):
            raise EngineError(701, f"TensorRT: {logger.last}", "lower --max, or raise --workspace")
        raise EngineError(702, f"TensorRT gave no engine: {logger.last}", "try another --opt-level or TensorRT")
    if cache_file:
        try:
            write(cache_file, bytes(cache.serialize()))
        except OSError as error:  # the engine is there all the same
            print(f"trt_engine: {cache_file} is not written ({error.strerror})", file=sys.stderr)
    return bytes(plan), {**facts, "hardware": options.hardware, "version_compatible": options.version_compatible}


def new_logger(trt: Any) -> Any:
    """Give a logger that is silent and keeps the last error, else the last warning, in `last` until it is to forget."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.forget()

        def forget(self) -> None:
            self.error = self.warning = ""

        @property
        def last(self) -> str:
            return self.error or self.warning or "no reason given"

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self.error = str(message).strip()[:500]
            elif int(severity) <= int(trt.ILogger.Severity.WARNING):
                self.warning = str(message).strip()[:500]

    return Logger()


def _configure(trt: Any, config: Any, options: BuildOptions) -> Any:
    """Set the options; give the timing cache, None without one."""
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)  # TensorRT sets it unasked
    foreign = [int(source) for name, source in trt.TacticSource.__members__.items() if name.startswith("CU")]
    if foreign:  # cuBLAS and cuDNN, which later versions leave out too: the engine needs TensorRT alone
        kept = config.get_tactic_sources() & ~sum(1 << source for source in foreign)
        config.set_tactic_sources(kept)
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware != "none":
        level = getattr(trt.HardwareCompatibilityLevel, _LEVELS[options.hardware], None)
        if level is None:
            cause = f"TensorRT {trt.__version__} has no hardware compatibility {options.hardware}"
            raise EngineError(403, cause, "use ampere+ or none, or TensorRT 10")
        config.hardware_compatibility_level = level
    if not options.timing_cache:
        return None
    file = Path(options.timing_cache)
    cache = config.create_timing_cache(file.read_bytes() if file.is_file() else b"")
    if cache is None or not config.set_timing_cache(cache, False):  # of another GPU or version: begun anew
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _set_profile(builder: Any, config: Any, network: Any, profile: Sequence[Shape] | None) -> None:
    if network.num_inputs != 1:
        raise EngineError(503, f"the model has {network.num_inputs} inputs", "give one with one input of images")
    images = network.get_input(0)
    shape = tuple(images.shape)
    if -1 not in shape and not profile:
        return
    if not profile:
        raise EngineError(202, f"the model takes {_text(shape)}, -1 is open", "give --min, --opt and --max")
    low, best, high = profile
    for own, *sizes in zip(shape, low, best, high):
        if sizes != sorted(sizes) or own not in (-1, *sizes[:1]) or (own != -1 and len(set(sizes)) > 1):
            given = " <= ".join(map(_text, profile))
            cause = f"{given} does not fit a model that takes {_text(shape)}, where -1 is open"
            raise EngineError(202, cause, "give --min <= --opt <= --max")
    chosen = builder.create_optimization_profile()
    chosen.set_shape(images.name, tuple(low), tuple(best), tuple(high))
    if config.add_optimization_profile(chosen) < 0:
        raise EngineError(202, f"TensorRT refuses {' <= '.join(map(_text, profile))}", "give other shapes")


def _has_half(trt: Any, network: Any) -> bool:
    layers = (network.get_layer(number) for number in range(network.num_layers))
    outputs = (layer.get_output(number) for layer in layers for number in range(layer.num_outputs))
    return any(output is not None and output.dtype == trt.DataType.HALF for output in outputs)


def _parser_error(error: Any) -> str:
    """Say what the parser says; later versions name the node."""
    name = error.node_name() if hasattr(error, "node_name") else ""
    return (f"{name} ({error.node_operator()}): " if name else "") + str(error.desc()).strip()


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def write(path: Path, content: bytes) -> None:
    """Write a file so that nothing half-written stands under its name."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0o022)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
