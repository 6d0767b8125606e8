"""What keeps a small file from taking much memory or time: each bound is far above any network and its weights."""

import contextlib
import math
import struct
import threading
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from torch import nn
from torch._C import PyTorchFileReader  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from .errors import BoundError

MOST_TENSORS = 10_000
"""No file has more; the deepest network of the registry has 2,100."""

_MOST_PARTS = 12_000
"""Modules and parameters of one network; the deepest of the registry has 3,900."""

_LARGEST_ARGUMENT, _LARGEST_SCALE = 10_000, 64
"""No whole argument of a network is larger, but for the value of white."""

_RATIO, _SLACK = 8, 2**20
"""What compressed weights unpack to is no more than that many times the file, and a little: weights hardly shrink."""

_DEEPEST = 32
"""Cells and structures of a .mat file inside one another; MatConvNet's are five deep."""

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCTURE, _OBJECT, _CHARACTERS, _SPARSE, _LAST_NUMBERS = 1, 2, 3, 4, 5, 15


def check_arguments(arguments: Any) -> None:
    """Refuse constructor arguments that no network has.

    Raises:
        ValueError: a number is too large.
    """
    for name, value in arguments.items():
        largest = _LARGEST_SCALE if name in ("scale", "scales") else _LARGEST_ARGUMENT
        listed: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        whole = [each for each in listed if type(each) is int]
        if name != "value_range" and max([len(listed), *whole]) > largest:
            raise ValueError(f"{name}={str(value)[:40]} is above {largest}")


@contextlib.contextmanager
def bounded_construction() -> Generator[None, None, None]:
    """Refuse to build a network of more modules and parameters than any has: that would take hours, not memory.

    Raises:
        ValueError: what is built in the block has more.
    """
    count, thread = 0, threading.get_ident()

    def note(*registered: Any) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > _MOST_PARTS:
            raise ValueError(f"the network has more than {_MOST_PARTS} modules and parameters")

    with register_module_module_registration_hook(note), register_module_parameter_registration_hook(note):
        yield


def check_memory(plan: nn.Module, weights: Path) -> None:
    """Refuse a network whose tensors are far larger than the file that they are to come from.

    Raises:
        BoundError: they are.
        OSError: the file cannot be read.
    """
    _check_ratio(weights, sum(tensor.nbytes for tensor in plan.state_dict().values()))


def check_torch_archive(path: Path) -> None:
    """Refuse an archive of torch.save that unpacks to much more than it is, compressed or by records that overlap.

    Raises:
        BoundError: it does.
        RuntimeError, zipfile.BadZipFile: it is none.
    """
    reader = PyTorchFileReader(str(path))
    records = reader.get_all_records()
    if hasattr(reader, "get_record_size"):
        sizes = [reader.get_record_size(name) for name in records]
    else:  # torch 2.11
        with zipfile.ZipFile(path) as archive:
            sizes = [entry.file_size for entry in archive.infolist()]
    _check_ratio(path, sum(sizes))
    check_pickle(reader.get_record("data.pkl") if "data.pkl" in records else b"")


def check_pickle(content: bytes) -> None:
    """Refuse the one thing that torch's restricted unpickler makes of any size that is asked for.

    Raises:
        BoundError: it is there.
    """
    if b"\nbytearray\n" in content:
        raise BoundError("holds a Python bytearray, as no weights do")


def _check_ratio(path: Path, unpacked: int) -> None:
    size = path.stat().st_size
    if unpacked > _RATIO * size + _SLACK:
        raise BoundError(f"holds more than {_RATIO} times its {size:,} bytes once it is unpacked, as no weights do")


def check_matlab_file(path: Path) -> None:
    """Refuse a .mat file of MATLAB 5 to 7 that unpacks to much more than it is, or whose cells are nested deeply.

    Raises:
        BoundError: it does or they are.
        ValueError: it is damaged.
    """
    content = path.read_bytes()
    order = ">" if content[126:128] == b"MI" else "<"
    unpacked, position = 0, 128
    while position + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, position)
        element = content[position : position + 8 + size]
        position += 8 + size
        if kind == _COMPRESSED:
            room = _RATIO * len(content) + _SLACK + 1 - unpacked
            try:
                element = zlib.decompressobj().decompress(element[8:], room)
            except zlib.error as error:
                raise ValueError("its compressed data are damaged") from error
            unpacked += len(element)
            _check_ratio(path, unpacked)
        _check_nesting(element, order)


def _check_nesting(content: bytes, order: str) -> None:
    """Go through a matrix as its reader does, which calls itself for every cell and field."""
    position = 0

    def skip() -> bytes:
        """Give the data of an element, and go behind it."""
        nonlocal position
        kind, size = struct.unpack_from(f"{order}II", content, position)
        start = position + 8
        if kind >> 16:  # the size, where the data are in the element's head
            start, size = position + 4, kind >> 16
            position += 8
        else:
            position = start + size + -size % 8
        if start + size > len(content):
            raise ValueError("it is damaged or truncated")
        return content[start : start + size]

    waiting = [1]  # matrices still to come, level by level
    try:
        while waiting:
            if waiting[-1] == 0:
                waiting.pop()
                continue
            waiting[-1] -= 1
            kind, size = struct.unpack_from(f"{order}II", content, position)
            position += 8
            if kind != _MATRIX:
                raise ValueError("it is damaged or truncated")
            if size:
                waiting.append(_inner_matrices(skip, order))
            if len(waiting) > _DEEPEST:
                raise BoundError(f"holds cells more than {_DEEPEST} deep inside one another")
    except struct.error as error:
        raise ValueError("it is damaged or truncated") from error


def _inner_matrices(skip: Any, order: str) -> int:
    """Go behind the head and the numbers of a matrix; give how many matrices follow inside it."""
    (flags,) = struct.unpack_from(f"{order}I", skip())
    kind, is_complex = flags & 0xFF, bool(flags & 0x800)
    if not _CELL <= kind <= _LAST_NUMBERS:
        raise BoundError("holds functions or objects, as no weights do")
    sizes = skip()
    count = math.prod(struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4]))
    skip()  # the name
    if kind == _CELL:
        return max(count, 0)
    if kind in (_STRUCTURE, _OBJECT):
        if kind == _OBJECT:
            skip()
        (length,) = struct.unpack_from(f"{order}i", skip())
        names = len(skip())
        return max(count, 0) * (names // max(length, 1))
    for _ in range((2 if kind == _SPARSE else 0) + (1 if kind == _CHARACTERS else 1 + is_complex)):
        skip()
    return 0
