"""Classes of the fake module of TensorRT for RTX, where they differ from those of TensorRT."""

from typing import Any

from helpers.tensorrt_parts import Config, Engine, Part, Runtime


class RuntimeCache(Part):
    NAME = "IRuntimeCache"

    def __init__(self) -> None:
        self._content = b""

    def serialize(self) -> bytes:
        return self._content + b"+"

    def deserialize(self, blob: bytes) -> bool:
        self._fake.calls.append(("deserialize_cache", blob))
        self._content = b"" if blob.startswith(b"foreign") else blob
        return not blob.startswith(b"foreign")


class RuntimeConfig(Part):
    NAME = "IRuntimeConfig"
    cuda_graph_strategy: Any = None

    def create_runtime_cache(self) -> Any:
        return self._fake.module.IRuntimeCache()

    def set_runtime_cache(self, cache: Any) -> bool:
        self._fake.calls.append(("set_runtime_cache",))
        return True


class RtxConfig(Config):
    def set_compute_capability(self, capability: Any, number: int) -> bool:
        return True


class RtxEngine(Engine):
    def create_runtime_config(self) -> Any:
        return self._fake.module.IRuntimeConfig()


class RtxRuntime(Runtime):
    def get_engine_validity(self, plan: bytes) -> tuple[Any, int]:
        trt = self._fake.module
        if "invalid" not in self._fake.faults:
            return trt.EngineValidity.VALID, 0
        return trt.EngineValidity.INVALID, int(trt.EngineInvalidityDiagnostics[self._fake.faults["invalid"]])


RTX_PARTS = (RuntimeCache, RuntimeConfig, RtxConfig, RtxEngine, RtxRuntime)
