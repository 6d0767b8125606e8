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
        tensor_types: data type of every tensor of the network that was built, such as "HALF", by its name in the graph;
            empty if the library chooses the types itself.
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
    return _Build(library, options or BuildOptions(), device).run(onnx, profile)


class _Build:
    """One build.

    Attributes:
        library: the library.
        trt: its module.
        title: its name and version in messages.
        logger: its logger.
        options: the options.
        targets: compute capabilities to build for ahead of time, such as "SM86"; empty to build for the GPU here.
        facts: what is known about the engine so far.
        builder: the library's builder.
        config: its configuration.
        network: the network to build.
    """

    def __init__(self, library: Library, options: BuildOptions, device: int) -> None:
        cache = Path(options.timing_cache) if options.timing_cache else None
        if cache and not cache.parent.is_dir():
            raise EngineError(302, f"--timing-cache: no such folder: {cache.parent}", "create it, or choose another")
        self.library, self.options = library, options
        self.trt: Any = library.load()
        self.title = f"{library.title} {library_version(self.trt)}"
        self.targets = self._compute_capabilities()
        here = host_facts(device if self.targets in ([], ["CURRENT"]) else None, library)
        self.facts: Facts = here | {"library": library.name}
        self.logger = library_logger(self.trt)
        self.logger.forget()
        try:
            self.builder: Any = self.trt.Builder(self.logger)
        except TypeError as error:  # the factory returned nullptr
            cause = f"{library.title} cannot use the GPU ({self.logger.reason})"
            raise EngineError(402, cause, "check the CUDA driver") from error
        self.config: Any = self.builder.create_builder_config()
        kind = self.trt.NetworkDefinitionCreationFlag
        self.typed = hasattr(kind, "STRONGLY_TYPED")
        self.network: Any = self.builder.create_network(
            1 << int(kind.STRONGLY_TYPED if self.typed else kind.EXPLICIT_BATCH)
        )

    def run(self, onnx: Path, profile: Sequence[Shape] | None) -> BuiltEngine:
        """Parse the model and build the engine."""
        parse(self.trt, self.network, onnx.read_bytes(), self.title, self.logger)
        tensor_types = self._tensor_types()
        if not self.typed and "HALF" in tensor_types.values():
            self.config.set_flag(self.trt.BuilderFlag.FP16)
        cache = self._configure()
        self._set_profile(profile)
        plan = self._plan()
        if plan is None:
            raise self._failure()
        if cache is not None:
            self._keep(cache)
        if not self.targets:
            self.facts |= {"hardware": self.options.hardware, "version_compatible": self.options.version_compatible}
        elif self.targets != ["CURRENT"]:
            self.facts["compute_capabilities"] = [_number(target) for target in self.targets]
        else:
            self.facts["compute_capabilities"] = [self.facts.pop("compute_capability")]
        types = tensor_types if self.typed else {}
        return BuiltEngine(bytes(plan), self.facts, types, self.logger.memory, tuple(self.logger.warnings))

    def _compute_capabilities(self) -> list[str]:
        """Return the compute capabilities to build for; an empty list if the library builds for the GPU here alone.

        Raises:
            EngineError: E403, the library does not build for one of them.
        """
        known = getattr(getattr(self.trt, "ComputeCapability", None), "__members__", {})
        able = sorted((name for name in known if name.startswith("SM")), key=lambda name: int(name[2:]))
        wanted = [name.upper() if name == "current" else f"SM{name.replace('.', '')}" for name in self._given]
        if not able:
            if set(wanted) <= {"CURRENT"}:
                return []
            raise EngineError(
                403, f"{self.title} builds for the GPU of this machine alone", "remove --compute-capability"
            )
        if unknown := [given for given, name in zip(self._given, wanted) if name not in known]:
            cause = f"{self.title} does not build for compute capability {unknown[0]}"
            raise EngineError(403, cause, f"use {', '.join(map(_number, able))}")
        return list(dict.fromkeys(wanted)) or able

    @property
    def _given(self) -> tuple[str, ...]:
        return self.options.compute_capabilities

    def _configure(self) -> Any:
        """Set the options; return the timing cache, or None.

        Raises:
            EngineError: E403, the library lacks or ignores an option.
        """
        trt, config, options = self.trt, self.config, self.options
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
                cause = f"{self.title} has no hardware compatibility {options.hardware}"
                raise EngineError(403, cause, "remove --hardware-compat, or use another TensorRT")
        return self._timing_cache(Path(options.timing_cache)) if options.timing_cache else None

    def _timing_cache(self, file: Path) -> Any:
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            cache = self.config.create_timing_cache(file.read_bytes() if file.is_file() else b"")
            taken = cache is not None and self.config.set_timing_cache(cache, False)
        deprecated = [warning for warning in raised if issubclass(warning.category, DeprecationWarning)]
        if deprecated:  # it has no effect any more
            raise EngineError(403, f"{self.title} has no timing cache", "remove --timing-cache")
        if not taken:  # made by another GPU or version: start a new one
            cache = self.config.create_timing_cache(b"")
            self.config.set_timing_cache(cache, False)
        return cache

    def _keep(self, cache: Any) -> None:
        try:
            write(Path(self.options.timing_cache or ""), bytes(cache.serialize()))
        except OSError as error:  # the engine was built all the same
            print(f"trt_engine: cannot write {self.options.timing_cache} ({error.strerror})", file=sys.stderr)

    def _set_profile(self, profile: Sequence[Shape] | None) -> None:
        if self.network.num_inputs != 1:
            cause = f"the model has {self.network.num_inputs} inputs, expected 1"
            raise EngineError(503, cause, "use a model with one image input")
        images = self.network.get_input(0)
        shape = tuple(images.shape)
        if -1 not in shape and not profile:
            return
        if not profile:
            raise EngineError(202, f"the model has dynamic sizes (-1): {_text(shape)}", "use --min, --opt and --max")
        low, optimum, high = profile
        given = " <= ".join(map(_text, profile))
        for own, *sizes in zip(shape, low, optimum, high):
            if sizes != sorted(sizes) or own not in (-1, *sizes[:1]) or (own != -1 and len(set(sizes)) > 1):
                cause = f"{given} does not fit the model's {_text(shape)} (-1 is dynamic)"
                raise EngineError(202, cause, "use --min <= --opt <= --max")
        chosen = self.builder.create_optimization_profile()
        chosen.set_shape(images.name, tuple(low), tuple(optimum), tuple(high))
        if self.config.add_optimization_profile(chosen) < 0:
            raise EngineError(202, f"{self.library.title} rejects {given}", "use other shapes")

    def _plan(self) -> Any | None:
        """Return the plan, or None; by default, the oldest GPUs that cannot run the network are left out."""
        if not self.targets:
            return self.builder.build_serialized_network(self.network, self.config)
        excluded: list[str] = []
        reason = ""
        while True:
            self.config.num_compute_capabilities = len(self.targets)
            for number, name in enumerate(self.targets):
                self.config.set_compute_capability(self.trt.ComputeCapability.__members__[name], number)
            plan = self.builder.build_serialized_network(self.network, self.config)
            if plan is not None or self._given or len(self.targets) == 1 or self._lacks_memory:
                break
            reason = self.logger.reason
            excluded.append(_number(self.targets.pop(0)))
            self.logger.forget()
        if excluded:
            self.logger.warnings.append(f"not for compute capability {', '.join(excluded)}: {reason}")
        return plan

    @property
    def _lacks_memory(self) -> bool:
        return bool(_MEMORY.search(" ".join(self.logger.errors)))

    def _failure(self) -> EngineError:
        if self._lacks_memory:
            return EngineError(701, f"{self.library.title}: {self.logger.reason}", "lower --max, or raise --workspace")
        cause = f"{self.library.title} could not build the engine: {self.logger.reason}"
        needs_lean_library = self.options.version_compatible
        remedy = "remove --version-compatible" if needs_lean_library else "try another --opt-level or TensorRT"
        return EngineError(702, cause, remedy)

    def _tensor_types(self) -> dict[str, str]:
        layers = (self.network.get_layer(number) for number in range(self.network.num_layers))
        outputs = (layer.get_output(number) for layer in layers for number in range(layer.num_outputs))
        return {output.name: output.dtype.name for output in outputs if output is not None}


def _number(target: str) -> str:
    """Return the compute capability of a member such as ``SM86``."""
    return f"{target[2:-1]}.{target[-1]}"


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
