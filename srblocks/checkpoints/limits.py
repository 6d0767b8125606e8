"""Limits that keep an untrusted file from exhausting memory or time; all are far above any real network."""

import contextlib
import math
import struct
import threading
import zipfile
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch._C import PyTorchFileReader  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from .errors import LimitError

MAX_TENSORS = 10_000
"""Maximum number of tensors in a file; the deepest registered network has 2,100."""

_MAX_PARTS = 12_000
"""Maximum number of modules and parameters; the deepest registered network has 3,900."""

_MAX_ARGUMENT, _MAX_SCALE = 10_000, 64
"""Maximum values of integer arguments other than `value_range`."""

_RATIO, _SLACK = 8, 2**20
"""Maximum unpacked size relative to the file, plus a constant; weights hardly compress."""

_MAX_DEPTH = 32
"""Maximum nesting of cells and structures in a .mat file; MatConvNet uses five levels."""

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCTURE, _OBJECT, _CHARACTERS, _SPARSE, _LAST_NUMBERS = 1, 2, 3, 4, 5, 15


@contextlib.contextmanager
def limited_construction(arguments: Mapping[str, Any]) -> Generator[None, None, None]:
    """Context manager that limits the size of a network constructed inside it.

    Too many modules and parameters take hours to construct even on the meta device.

    Args:
        arguments: constructor arguments of the network.

    Raises:
        ValueError: an argument, or the number of modules and parameters, exceeds its limit.
    """
    for name, value in arguments.items():
        limit = _MAX_SCALE if name in ("scale", "scales") else _MAX_ARGUMENT
        values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        integers = [each for each in values if type(each) is int]
        if name != "value_range" and max([len(values), *integers]) > limit:
            raise ValueError(f"{name}={str(value)[:40]} exceeds the limit of {limit}")
    count, thread = 0, threading.get_ident()

    def count_registered(*_: Any) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > _MAX_PARTS:
            raise ValueError(f"the network has more than {_MAX_PARTS} modules and parameters")

    with (
        register_module_module_registration_hook(count_registered),
        register_module_parameter_registration_hook(count_registered),
    ):
        yield


def check_memory(plan: nn.Module, weights: Path) -> None:
    """Check that the tensors of a planned network are not far larger than the weights file.

    Raises:
        LimitError: they are.
        OSError: the file cannot be read.
    """
    _check_ratio(weights, sum(tensor.nbytes for tensor in plan.state_dict().values()))


def check_torch_archive(path: Path) -> None:
    """Check that a torch.save archive does not unpack to much more than its size (compressed or overlapping records).

    Raises:
        LimitError: it does.
        RuntimeError, zipfile.BadZipFile: the file is not an archive.
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
    """Reject bytearray, the only type that torch's restricted unpickler allocates at any requested size.

    Raises:
        LimitError: the pickle contains one.
    """
    if b"\nbytearray\n" in content:
        raise LimitError("contains a Python bytearray, which checkpoints never do")


def _check_ratio(path: Path, unpacked: int) -> None:
    size = path.stat().st_size
    if unpacked > _RATIO * size + _SLACK:
        raise LimitError(f"unpacks to more than {_RATIO} times its {size:,} bytes, which checkpoints never do")


def check_matlab_file(path: Path) -> None:
    """Check that a MATLAB 5 to 7 file does not unpack to much more than its size and is not nested deeply.

    Raises:
        LimitError: it exceeds a limit.
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
                raise ValueError("damaged compressed data") from error
            unpacked += len(element)
            _check_ratio(path, unpacked)
        _check_nesting(element, order)


def _check_nesting(content: bytes, order: str) -> None:
    """Walk through a matrix as scipy does, which recurses into every cell and field."""
    position = 0

    def skip() -> bytes:
        """Return the data of an element and advance past it."""
        nonlocal position
        kind, size = struct.unpack_from(f"{order}II", content, position)
        start = position + 8
        if kind >> 16:  # small element: data inside the header
            start, size = position + 4, kind >> 16
            position += 8
        else:
            position = start + size + -size % 8
        if start + size > len(content):
            raise ValueError("damaged or truncated")
        return content[start : start + size]

    waiting = [1]  # remaining matrices per nesting level
    try:
        while waiting:
            if waiting[-1] == 0:
                waiting.pop()
                continue
            waiting[-1] -= 1
            kind, size = struct.unpack_from(f"{order}II", content, position)
            position += 8
            if kind != _MATRIX:
                raise ValueError("damaged or truncated")
            if size:
                waiting.append(_inner_matrices(skip, order))
            if len(waiting) > _MAX_DEPTH:
                raise LimitError(f"contains cells nested more than {_MAX_DEPTH} levels deep")
    except struct.error as error:
        raise ValueError("damaged or truncated") from error


def _inner_matrices(skip: Any, order: str) -> int:
    """Advance past the header and values of a matrix; return the number of matrices nested in it."""
    (flags,) = struct.unpack_from(f"{order}I", skip())
    kind, is_complex = flags & 0xFF, bool(flags & 0x800)
    if not _CELL <= kind <= _LAST_NUMBERS:
        raise LimitError("contains functions or objects, which checkpoints never do")
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
