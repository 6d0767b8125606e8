"""Checks of the tensors in TorchScript archives; torch's loader trusts their recorded sizes."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_BYTES = {
    "Double": 8,
    "Long": 8,
    "Float": 4,
    "Int": 4,
    "Half": 2,
    "BFloat16": 2,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
}
_PICKLES = {"data.pkl": "data", "constants.pkl": "constants"}


class _Inert:
    """Inert placeholder for every class and function that a pickle names."""

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __call__(self, *arguments: Any) -> "_Inert":
        return _Inert()

    def __setstate__(self, state: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


class _StorageChecker(pickle.Unpickler):
    """Reads a pickle without executing anything, and compares the sizes of its storages with their records."""

    def __init__(self, content: bytes, records: Mapping[str, bytes], folder: str) -> None:
        super().__init__(io.BytesIO(content))
        self._records, self._folder = records, folder

    def find_class(self, module: str, name: str) -> Any:
        return name.removesuffix("Storage") if module == "torch" and name.endswith("Storage") else _Inert

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, count = pid
        if count < 0 or count * _BYTES[kind] > len(self._records[f"{self._folder}/{key}"]):
            raise ValueError(f"record {key} is smaller than its tensor")
        return _Inert()


def check_storages(records: Mapping[str, bytes]) -> None:
    """Check that no tensor of an archive is larger than its record.

    Raises:
        ValueError: a tensor is larger.
        Exception: a pickle is damaged.
    """
    for name, content in records.items():
        root, _, file = name.rpartition("/")
        if file in _PICKLES:
            _StorageChecker(content, records, f"{root}/{_PICKLES[file]}").load()


def check_tensors(tensors: list[Tensor]) -> None:
    """Check that no tensor reaches beyond its storage.

    Raises:
        ValueError: a tensor does.
    """
    for tensor in tensors:
        steps = list(zip(tensor.shape, tensor.stride(), strict=True))
        last = tensor.storage_offset() + sum((size - 1) * stride for size, stride in steps)
        wrong = tensor.storage_offset() < 0 or any(size < 0 or stride < 0 for size, stride in steps)
        held = tensor.untyped_storage().nbytes() // tensor.element_size()
        if wrong or (all(tensor.shape) and last >= held):
            raise ValueError(f"contains a tensor of shape {tuple(tensor.shape)} in a storage of {held} values")
