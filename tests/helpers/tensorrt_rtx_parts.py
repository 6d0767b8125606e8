"""Classes that only the fake module of TensorRT for RTX has."""

from typing import Any

from helpers.tensorrt_parts import Part


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


RTX_PARTS = (RuntimeCache, RuntimeConfig)
