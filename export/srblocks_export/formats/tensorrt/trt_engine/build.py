"""Build an engine from an ONNX file with the installed TensorRT.

Features are detected in the library, never inferred from its version.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .host import EngineError, Facts, host_facts, import_tensorrt
from .options import BuildOptions, Shape

_LEVELS = {"same-cc": "SAME_COMPUTE_CAPABILITY", "ampere+": "AMPERE_PLUS"}
_MEMORY = re.compile(r"out of memory|outofmemory|insufficient memory|could not find any implementation", re.IGNORECASE)


def build_engine(
    onnx: Path, profile: Sequence[Shape] | None = None, options: BuildOptions | None = None, *, device: int = 0
) -> tuple[bytes, Facts]:
    """Build an engine on the GPU of this machine.

    Args:
        onnx: the model, with one input; the engine has its data types.
        profile: smallest, optimal and largest shape of the input; None for a model of one fixed shape.
        options: build options; None for the defaults.
        device: index of the current GPU.

    Returns:
        The plan, and the facts that a host must match: `host_facts` and the compatibility options.

    Raises:
        EngineError: E401, E402 as in `host_facts`; E403, an option that this TensorRT lacks; E503, its parser rejects
            the model; E202, shapes that do not fit; E701, too little memory; E702, TensorRT could not build the engine.
    """
    options = options or BuildOptions()
    cache_file = Path(options.timing_cache) if options.timing_cache else None
    if cache_file and not cache_file.parent.is_dir():
        raise EngineError(302, f"--timing-cache: no such folder: {cache_file.parent}", "create it, or choose another")
    trt, facts = import_tensorrt(), host_facts(device)
    logger = new_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # the factory returned nullptr
        raise EngineError(402, f"TensorRT cannot use the GPU ({logger.last})", "check the CUDA driver") from error
    typed = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    kind = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(1 << int(kind.STRONGLY_TYPED if typed else kind.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx.read_bytes(), str(onnx)):
        reason = (
            "; ".join(_parser_error(parser.get_error(number)) for number in range(parser.num_errors)) or logger.last
        )
        raise EngineError(503, f"TensorRT {trt.__version__} rejects {onnx.name}: {reason}", "use another TensorRT")
    config = builder.create_builder_config()
    if not typed and _has_half(trt, network):
        config.set_flag(trt.BuilderFlag.FP16)
    cache = _configure(trt, config, options)
    _set_profile(builder, config, network, profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        if _MEMORY.search(logger.last):
            raise EngineError(701, f"TensorRT: {logger.last}", "lower --max, or raise --workspace")
        raise EngineError(
            702, f"TensorRT could not build the engine: {logger.last}", "try another --opt-level or TensorRT"
        )
    if cache_file:
        try:
            write(cache_file, bytes(cache.serialize()))
        except OSError as error:  # the engine was built all the same
            print(f"trt_engine: cannot write {cache_file} ({error.strerror})", file=sys.stderr)
    return bytes(plan), {**facts, "hardware": options.hardware, "version_compatible": options.version_compatible}


def new_logger(trt: Any) -> Any:
    """Return a silent logger whose `last` is the last error, or else the last warning, since `forget` was called."""

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
    """Set the options; return the timing cache, or None."""
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)  # set by default
    foreign = [int(source) for name, source in trt.TacticSource.__members__.items() if name.startswith("CU")]
    if foreign:  # no cuBLAS and cuDNN, as in later versions: the engine needs TensorRT alone
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
    if cache is None or not config.set_timing_cache(cache, False):  # made by another GPU or version: start a new one
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _set_profile(builder: Any, config: Any, network: Any, profile: Sequence[Shape] | None) -> None:
    if network.num_inputs != 1:
        raise EngineError(
            503, f"the model has {network.num_inputs} inputs, expected 1", "use a model with one image input"
        )
    images = network.get_input(0)
    shape = tuple(images.shape)
    if -1 not in shape and not profile:
        return
    if not profile:
        raise EngineError(202, f"the model has dynamic sizes (-1): {_text(shape)}", "use --min, --opt and --max")
    low, optimum, high = profile
    for own, *sizes in zip(shape, low, optimum, high):
        if sizes != sorted(sizes) or own not in (-1, *sizes[:1]) or (own != -1 and len(set(sizes)) > 1):
            given = " <= ".join(map(_text, profile))
            cause = f"{given} does not fit the model's {_text(shape)} (-1 is dynamic)"
            raise EngineError(202, cause, "use --min <= --opt <= --max")
    chosen = builder.create_optimization_profile()
    chosen.set_shape(images.name, tuple(low), tuple(optimum), tuple(high))
    if config.add_optimization_profile(chosen) < 0:
        raise EngineError(202, f"TensorRT rejects {' <= '.join(map(_text, profile))}", "use other shapes")


def _has_half(trt: Any, network: Any) -> bool:
    layers = (network.get_layer(number) for number in range(network.num_layers))
    outputs = (layer.get_output(number) for layer in layers for number in range(layer.num_outputs))
    return any(output is not None and output.dtype == trt.DataType.HALF for output in outputs)


def _parser_error(error: Any) -> str:
    """Return the parser's message; later versions name the node."""
    name = error.node_name() if hasattr(error, "node_name") else ""
    return (f"{name} ({error.node_operator()}): " if name else "") + str(error.desc()).strip()


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def write(path: Path, content: bytes) -> None:
    """Write a file atomically."""
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
