"""Tensors of TorchScript archives, looked at before torch loads them: it believes what they say of their sizes."""

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


class _Nothing:
    """Stands for whatever a pickle names; it can be called and filled, and does nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __call__(self, *arguments: Any) -> "_Nothing":
        return _Nothing()

    def __setstate__(self, state: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


class _Storages(pickle.Unpickler):
    """Goes through a pickle without executing anything, and compares its storages with the records they come from."""

    def __init__(self, content: bytes, records: Mapping[str, bytes], folder: str) -> None:
        super().__init__(io.BytesIO(content))
        self._records, self._folder = records, folder

    def find_class(self, module: str, name: str) -> Any:
        return name.removesuffix("Storage") if module == "torch" and name.endswith("Storage") else _Nothing

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, count = pid
        if count < 0 or count * _BYTES[kind] > len(self._records[f"{self._folder}/{key}"]):
            raise ValueError(f"record {key} is smaller than its tensor")
        return _Nothing()


def check_storages(records: Mapping[str, bytes]) -> None:
    """Refuse an archive whose tensors are larger than their records.

    Raises:
        ValueError: it has one.
        Exception: the pickles are damaged.
    """
    for name, content in records.items():
        root, _, file = name.rpartition("/")
        if file in _PICKLES:
            _Storages(content, records, f"{root}/{_PICKLES[file]}").load()


def check_tensors(tensors: list[Tensor]) -> None:
    """Refuse tensors that reach beyond their memory.

    Raises:
        ValueError: there is one.
    """
    for tensor in tensors:
        steps = list(zip(tensor.shape, tensor.stride(), strict=True))
        last = tensor.storage_offset() + sum((size - 1) * stride for size, stride in steps)
        wrong = tensor.storage_offset() < 0 or any(size < 0 or stride < 0 for size, stride in steps)
        held = tensor.untyped_storage().nbytes() // tensor.element_size()
        if wrong or (all(tensor.shape) and last >= held):
            raise ValueError(f"holds a tensor of shape {tuple(tensor.shape)} in memory for {held} numbers")
