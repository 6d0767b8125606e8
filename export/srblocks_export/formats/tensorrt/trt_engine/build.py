"""Build an engine from an ONNX file.

Features are detected in the library, never inferred from its name or version.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import EngineError
from .files import write
from .host import Facts, host_facts
from .libraries import TENSORRT, Library, library_version
from .logger import library_logger
from .options import BuildOptions, Shape
from .parsing import parse

_LEVELS = {"same-cc": "SAME_COMPUTE_CAPABILITY", "ampere+": "AMPERE_PLUS"}
_MEMORY = re.compile(
    r"out of memory|outofmemory|insufficient memory|workspace limit|could not find any implementation", re.IGNORECASE
)


@dataclass(frozen=True)
class BuiltEngine:
    """A built engine.

    Attributes:
        plan: the serialized engine.
        facts: what a host must match, see `misfit`.
        tensor_types: data type of every tensor of the network that was built, such as "HALF", by its name in the graph.
        device_memory: bytes of device memory that running it needs; None if the library does not tell.
        warnings: warnings of the library.
    """

    plan: bytes
    facts: Facts
    tensor_types: dict[str, str] = field(repr=False)
    device_memory: int | None = None
    warnings: tuple[str, ...] = ()


def build_engine(
    onnx: Path,
    profile: Sequence[Shape] | None = None,
    options: BuildOptions | None = None,
    *,
    library: Library = TENSORRT,
    device: int = 0,
) -> BuiltEngine:
    """Build an engine: for the GPU of this machine, or ahead of time if the library can.

    Args:
        onnx: the model, with one input; the engine has its data types.
        profile: smallest, optimal and largest shape of the input; None for a model of one fixed shape.
        options: build options; None for the defaults.
        library: what builds it.
        device: index of the GPU to build for, where the library builds for one.

    Raises:
        EngineError: E202, shapes that do not fit; E302, no folder for the timing cache; E401, the library is missing;
            E402, no usable GPU; E403, an option that the library lacks; E503, its parser rejects the model; E701, too
            little memory; E702, the engine cannot be built.
    """
    options = options or BuildOptions()
    cache_file = Path(options.timing_cache) if options.timing_cache else None
    if cache_file and not cache_file.parent.is_dir():
        raise EngineError(302, f"--timing-cache: no such folder: {cache_file.parent}", "create it, or choose another")
    trt = library.load()
    targets = _targets(trt, options, library)
    facts = host_facts(device if targets in ([], ["CURRENT"]) else None, library) | {"library": library.name}
    logger = library_logger(trt)
    logger.forget()
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # the factory returned nullptr
        raise EngineError(
            402, f"{library.title} cannot use the GPU ({logger.reason})", "check the CUDA driver"
        ) from error
    typed = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    kind = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(1 << int(kind.STRONGLY_TYPED if typed else kind.EXPLICIT_BATCH))
    parse(trt, network, onnx.read_bytes(), library.title, logger)
    config = builder.create_builder_config()
    tensor_types = _tensor_types(network)
    if not typed and "HALF" in tensor_types.values():
        config.set_flag(trt.BuilderFlag.FP16)
    cache = _configure(trt, config, options, library)
    _set_profile(builder, config, network, profile, library)
    plan = _build(trt, builder, network, config, targets, logger, fixed=bool(options.compute_capabilities))
    if plan is None:
        raise _failure(library, logger, options)
    if cache_file:
        try:
            write(cache_file, bytes(cache.serialize()))
        except OSError as error:  # the engine was built all the same
            print(f"trt_engine: cannot write {cache_file} ({error.strerror})", file=sys.stderr)
    if not targets:
        facts |= {"hardware": options.hardware, "version_compatible": options.version_compatible}
    elif "compute_capability" not in facts:
        facts["compute_capabilities"] = [f"{target[2:-1]}.{target[-1]}" for target in targets]
    return BuiltEngine(bytes(plan), facts, tensor_types, logger.memory, tuple(logger.warnings))


def _targets(trt: Any, options: BuildOptions, library: Library) -> list[str]:
    """Return the names of the compute capabilities to build for; an empty list if the library builds for the GPU here.

    Raises:
        EngineError: E403, the library cannot build for these.
    """
    known = list(getattr(trt, "ComputeCapability", type("", (), {"__members__": {}})).__members__)
    able = sorted((name for name in known if name.startswith("SM")), key=lambda name: int(name[2:]))
    wanted = ["CURRENT" if name == "current" else f"SM{name.replace('.', '')}" for name in options.compute_capabilities]
    if not able and not set(wanted) <= {"CURRENT"}:
        cause = f"{library.title} {library_version(trt)} builds for the GPU of this machine alone"
        raise EngineError(403, cause, "remove --compute-capability")
    if unknown := [name for name in wanted if name not in known and able]:
        names = ", ".join(f"{name[2:-1]}.{name[-1]}" for name in able)
        cause = f"{library.title} {library_version(trt)} does not build for compute capability {unknown[0][2:-1]}.{unknown[0][-1]}"
        raise EngineError(403, cause, f"use {names}")
    return wanted or able if able else []


def _build(
    trt: Any, builder: Any, network: Any, config: Any, targets: list[str], logger: Any, *, fixed: bool
) -> Any | None:
    """Return the plan, or None; without `fixed`, remove the oldest GPUs from `targets` that cannot run the network."""
    if not targets:
        return builder.build_serialized_network(network, config)
    while True:
        config.num_compute_capabilities = len(targets)
        for number, name in enumerate(targets):
            config.set_compute_capability(trt.ComputeCapability.__members__[name], number)
        plan = builder.build_serialized_network(network, config)
        if plan is not None or fixed or len(targets) == 1 or _MEMORY.search(" ".join(logger.errors)):
            return plan
        excluded, reason = targets.pop(0), logger.reason
        logger.forget()
        logger.warnings.append(f"not for GPUs of compute capability {excluded[2:-1]}.{excluded[-1]}: {reason}")


def _failure(library: Library, logger: Any, options: BuildOptions) -> EngineError:
    if _MEMORY.search(" ".join(logger.errors)):
        return EngineError(701, f"{library.title}: {logger.reason}", "lower --max, or raise --workspace")
    cause = f"{library.title} could not build the engine: {logger.reason}"
    remedy = "remove --version-compatible" if options.version_compatible else "try another --opt-level or TensorRT"
    return EngineError(702, cause, remedy)


def _configure(trt: Any, config: Any, options: BuildOptions, library: Library) -> Any:
    """Set the options; return the timing cache, or None.

    Raises:
        EngineError: E403, the library lacks or ignores an option.
    """
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
        if level is not None:
            config.hardware_compatibility_level = level
        if level is None or config.hardware_compatibility_level != level:
            cause = f"{library.title} {library_version(trt)} has no hardware compatibility {options.hardware}"
            raise EngineError(403, cause, "remove --hardware-compat, or use another TensorRT")
    return _timing_cache(config, options.timing_cache, trt, library)


def _timing_cache(config: Any, path: str | None, trt: Any, library: Library) -> Any:
    if not path:
        return None
    file = Path(path)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        cache = config.create_timing_cache(file.read_bytes() if file.is_file() else b"")
        taken = cache is not None and config.set_timing_cache(cache, False)
    if any(issubclass(warning.category, DeprecationWarning) for warning in raised):  # caches have no effect any more
        cause = f"{library.title} {library_version(trt)} has no timing cache"
        raise EngineError(403, cause, "remove --timing-cache")
    if not taken:  # made by another GPU or version: start a new one
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _set_profile(builder: Any, config: Any, network: Any, profile: Sequence[Shape] | None, library: Library) -> None:
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
        cause = f"{library.title} rejects {' <= '.join(map(_text, profile))}"
        raise EngineError(202, cause, "use other shapes")


def _tensor_types(network: Any) -> dict[str, str]:
    layers = (network.get_layer(number) for number in range(network.num_layers))
    outputs = (layer.get_output(number) for layer in layers for number in range(layer.num_outputs))
    return {output.name: str(output.dtype).rpartition(".")[2] for output in outputs if output is not None}


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
