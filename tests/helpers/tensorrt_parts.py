"""Classes of the fake `tensorrt` module."""

import ctypes
import json
import math
from typing import Any

import numpy as np
import onnx
import onnxruntime


class Part:
    """Base class, with the name of the real class and its fake module (`tensorrt_standin.Standin`)."""

    NAME: str
    _fake: Any

    def _log(self, text: str, severity: str = "ERROR") -> None:
        severities = self._fake.module.ILogger.Severity
        self._logger.log(severities[severity], text)
        self._logger.log(severities.INFO, "irrelevant information")
        if severity == "ERROR":
            self._logger.log(severities.WARNING, "less important warning")

    _logger: Any


class Builder(Part):
    NAME = "Builder"

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        if "no_cuda" in self._fake.faults:
            self._log("CUDA initialization failure with error: 35", "WARNING")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int = 0) -> Any:
        self._fake.calls.append(("create_network", flags))
        network = self._fake.module.INetworkDefinition()
        known = self._fake.module.NetworkDefinitionCreationFlag
        batch = 1 << int(known.EXPLICIT_BATCH) if hasattr(known, "EXPLICIT_BATCH") else 0
        typed = 1 << int(known.STRONGLY_TYPED) if hasattr(known, "STRONGLY_TYPED") else 0
        network._typed = bool(flags & typed) or not batch
        network._explicit = bool(flags & batch) or typed > 0
        return network

    def create_builder_config(self) -> Any:
        return self._fake.module.IBuilderConfig()

    def create_optimization_profile(self) -> Any:
        return self._fake.module.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        flags = sorted(flag.name for flag in config._flags)
        self._fake.calls.append(("build_serialized_network", flags))
        if "no_engine" in self._fake.faults:
            self._log(self._fake.faults["no_engine"])
            return None
        if network._has_half and not network._typed and "FP16" not in flags:
            self._log("half precision is not enabled")
            return None
        header = {"version": self._fake.module.__version__, "profile": config._profile, "flags": flags}
        return json.dumps(header).encode() + b"\n" + network._model


class Network(Part):
    NAME = "INetworkDefinition"
    _model = b""
    _has_half = _typed = _explicit = False
    _inputs: tuple[Any, ...] = ()
    _layers: tuple[Any, ...] = ()

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_input(self, number: int) -> Any:
        return self._inputs[number]

    def get_layer(self, number: int) -> Any:
        return self._layers[number]


class Tensor(Part):
    NAME = "ITensor"
    name = ""
    shape: tuple[int, ...] = ()
    dtype: Any = None


class Layer(Part):
    NAME = "ILayer"
    num_outputs = 2
    _output: Any = None

    def get_output(self, number: int) -> Any:
        return self._output if number == 0 else None


class Parser(Part):
    NAME = "OnnxParser"

    def __init__(self, network: Any, logger: Any) -> None:
        self._network, self._logger = network, logger

    def parse(self, model: bytes, path: str | None = None) -> bool:
        self._fake.calls.append(("parse", path))
        if "parser_error" in self._fake.faults or not self._network._explicit:
            self._log("parsing failed")
            return False
        graph = onnx.load_from_string(model).graph
        trt = self._fake.module
        for value in graph.input:
            tensor = trt.ITensor()
            tensor.name = value.name
            tensor.shape = tuple(axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim)
            self._network._inputs = (*self._network._inputs, tensor)
        self._network._has_half = any(part.data_type == onnx.TensorProto.FLOAT16 for part in graph.initializer)
        layer, output = trt.ILayer(), trt.ITensor()
        output.dtype = trt.DataType.HALF if self._network._has_half else trt.DataType.FLOAT
        layer._output = output
        self._network._layers = (layer,)
        self._network._model = model
        return True

    @property
    def num_errors(self) -> int:
        return 1 if "parser_error" in self._fake.faults else 0

    def get_error(self, number: int) -> Any:
        methods: dict[str, Any] = {"desc": lambda: self._fake.faults["parser_error"], "node": lambda: 0}
        if "get_layer_output_tensor" in type(self).surface:  # 8.6 has only the index of the node
            methods |= {"node_name": lambda: "body/fold_1", "node_operator": lambda: "Col2Im"}
        return type("ParserError", (), {name: staticmethod(value) for name, value in methods.items()})()


class Config(Part):
    NAME = "IBuilderConfig"
    _profile: Any = None
    builder_optimization_level = 3
    hardware_compatibility_level: Any = 0

    def __init__(self) -> None:
        self._flags = {self._fake.module.BuilderFlag.TF32}
        self._sources = sum(1 << int(source) for source in self._fake.module.TacticSource)

    def get_tactic_sources(self) -> int:
        return self._sources

    def set_tactic_sources(self, sources: int) -> bool:
        names = [source.name for source in self._fake.module.TacticSource if sources >> int(source) & 1]
        self._fake.calls.append(("set_tactic_sources", names))
        return True

    def set_flag(self, flag: Any) -> None:
        self._flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(flag)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self._fake.calls.append(("set_memory_pool_limit", pool.name, size))

    def create_timing_cache(self, content: bytes) -> Any:
        return type("ITimingCache", (), {"content": content, "serialize": lambda cache: cache.content + b"+"})()

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._fake.calls.append(("set_timing_cache", cache.content, ignore_mismatch))
        return not cache.content.startswith(b"foreign")

    def add_optimization_profile(self, profile: Any) -> int:
        self._profile = profile._shapes
        return 0

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            self._fake.calls.append((name, value))
        super().__setattr__(name, value)


class Profile(Part):
    NAME = "IOptimizationProfile"
    _shapes: Any = None

    def set_shape(self, name: str, low: Any, optimum: Any, high: Any) -> None:
        self._shapes = [name, list(low), list(optimum), list(high)]


class Runtime(Part):
    NAME = "Runtime"
    engine_host_code_allowed = False

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        self._fake.calls.append(("deserialize_cuda_engine",))
        header, _, model = plan.partition(b"\n")
        facts = json.loads(header)
        if facts["version"] != self._fake.module.__version__:
            self._log("expecting another library version")
            return None
        if "VERSION_COMPATIBLE" in facts["flags"] and not self.engine_host_code_allowed:
            self._log("host code is not allowed")
            return None
        engine = self._fake.module.ICudaEngine()
        engine._model, engine._profile = model, facts["profile"]
        return engine


class Engine(Part):
    NAME = "ICudaEngine"
    num_io_tensors = 2
    _model = b""
    _profile: Any = None

    def get_tensor_name(self, number: int) -> str:
        return ("lr", "sr")[number]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._fake.module.TensorIOMode
        return {"lr": modes.INPUT, "sr": modes.OUTPUT}[name]

    def create_execution_context(self, config: Any = None) -> Any:
        if config is not None:
            self._fake.calls.append(("create_execution_context", config.cuda_graph_strategy))
        if "no_context" in self._fake.faults:
            return None
        context = self._fake.module.IExecutionContext()
        context._session = onnxruntime.InferenceSession(self._model, providers=["CPUExecutionProvider"])
        context._profile = self._profile
        return context


class Context(Part):
    NAME = "IExecutionContext"
    _session: Any = None
    _profile: Any = None
    _shape: tuple[int, ...] = ()

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self._fake.calls.append(("set_input_shape", name, shape))
        self._shape = shape
        _, low, _, high = self._profile or (None, shape, None, shape)
        fits = all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True))
        return fits and "not_taken" not in self._fake.faults

    def infer_shapes(self) -> list[str]:
        return [] if self._shape else ["lr"]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        sizes = self._session.run(None, {"lr": np.zeros(self._shape, np.float32)})[0].shape
        return self._shape if name == "lr" else tuple(sizes)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        self._fake.calls.append(("execute_async_v3", stream_handle, self._fake.current()))
        if "not_run" in self._fake.faults:
            return False
        assert all(address % 64 == 0 for address in self._addresses.values())
        addresses, shape = dict(self._addresses), self._shape

        def compute() -> None:
            sr = self._session.run(None, {"lr": memory(addresses["lr"], shape)})[0]
            memory(addresses["sr"], sr.shape)[:] = sr

        if self._fake.capturing is None:
            compute()
        else:
            self._fake.capturing.append(compute)
        return True


PARTS = (Builder, Parser, Runtime, Network, Config, Profile, Engine, Context, Tensor, Layer)


def memory(address: int, shape: tuple[int, ...]) -> Any:
    """Return the float32 values at an address."""
    count = math.prod(shape)
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
