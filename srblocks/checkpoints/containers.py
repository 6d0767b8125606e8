"""Readers of safetensors, torch and MatConvNet files. Code in a file is never executed."""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from .._utils.memory import is_out_of_memory
from .errors import CheckpointError, LimitError, printable
from .limits import MAX_TENSORS, check_pickle, check_torch_archive
from .matconvnet import read_matconvnet

METADATA_KEY = "srblocks"
CONFIG_TENSOR = "srblocks.config"
"""Tensor with the JSON configuration as bytes, for programs that drop the metadata."""

WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
"""Entries of training checkpoints that can hold the state dict, in order of preference."""

_MAX_CONFIGURATION = 2**20

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
COUNTERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


@dataclass(frozen=True)
class Contents:
    """Contents of a weights file.

    Attributes:
        tensors: tensors by name.
        metadata: metadata written by `save_checkpoint`; empty for third-party files.
        facts: constructor arguments that the file stores outside its tensors.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def contents_of(state: object, source: object) -> Contents:
    """Return the contents of a state dict in memory, which may be inside a training checkpoint.

    Args:
        state: the state dict; not modified.
        source: name of the state dict in messages.

    Raises:
        CheckpointError: it is not a state dict, or its configuration is unreadable.
    """
    return _checked(Contents(_plain(_unwrapped(state), source)), source)


def configuration_tensor(recorded: str) -> Tensor:
    """Return a JSON configuration as the value of `CONFIG_TENSOR`.

    Examples:
        >>> configuration_tensor("{}")
        tensor([123, 125], dtype=torch.uint8)
    """
    return torch.tensor(list(recorded.encode()), dtype=torch.uint8)


def read_contents(path: Path) -> Contents:
    """Read a weights file.

    Raises:
        CheckpointError: the file is corrupt or not a weights file.
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise CheckpointError(f"{path}: not a regular file", "copy the weights to a regular file")
    with path.open("rb") as file:
        start = file.read(512)
    _reject_non_weights(path, start)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        contents = _read_safetensors(path)
    elif path.suffix == ".mat" or start.startswith(b"MATLAB"):
        contents = Contents(*read_matconvnet(path, start))
    else:
        contents = Contents(_plain(_unwrapped(_read_torch(path)), path))
    return _checked(contents, path)


def _checked(contents: Contents, source: object) -> Contents:
    """Check the tensors, and move a configuration tensor to the metadata."""
    if len(contents.tensors) > MAX_TENSORS:
        raise CheckpointError(f"{source}: {len(contents.tensors)} tensors exceed the limit of {MAX_TENSORS}")
    _check_kinds(contents.tensors, source)
    if CONFIG_TENSOR not in contents.tensors:
        return contents
    tensors = {name: tensor for name, tensor in contents.tensors.items() if name != CONFIG_TENSOR}
    return replace(contents, tensors=tensors, metadata=configuration_in(contents.tensors[CONFIG_TENSOR], source))


def configuration_in(tensor: Tensor, source: object) -> dict[str, Any]:
    """Return the configuration stored in a tensor by `configuration_tensor`.

    Raises:
        CheckpointError: it is unreadable.
    """
    readable = tensor.dtype == torch.uint8 and tensor.numel() <= _MAX_CONFIGURATION
    recorded = tensor.cpu().numpy().tobytes() if readable else b""
    return _parsed(recorded.decode(errors="replace"), source)


def _parsed(recorded: str, source: object) -> dict[str, Any]:
    try:
        metadata = json.loads(recorded) if len(recorded) <= _MAX_CONFIGURATION else None
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{source}: unreadable srblocks configuration", "save it with save_checkpoint")
    return metadata


def _read_safetensors(path: Path) -> Contents:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            recorded = (file.metadata() or {}).get(METADATA_KEY, "{}")
    except Exception as error:  # errors of safetensors, and of torch for huge sizes
        if isinstance(error, OSError) and error.errno:
            raise
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        reason = printable(str(error).partition("\n")[0])
        raise CheckpointError(
            f"{path}: corrupt or truncated safetensors file ({reason})", "download or copy it again"
        ) from error
    metadata = _parsed(recorded, path)
    return Contents(tensors if metadata else _plain(tensors, path), metadata)


def _check_kinds(tensors: Mapping[str, Tensor], path: object) -> None:
    """Reject unusual tensor types, and expanded tensors whose shapes exceed their storage."""
    unsupported = [name for name, tensor in tensors.items() if not _is_plain(tensor)]
    if unsupported:
        tensor = tensors[unsupported[0]]
        raise CheckpointError(
            f"{path}: {len(unsupported)} tensors have an unsupported type, first {printable(unsupported[0])} "
            f"({tensor.dtype}, {tensor.layout})",
            "save them as dense float32",
        )
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path}: {printable(name)} with shape {tuple(tensor.shape)} is an expanded view of fewer elements",
                "save contiguous tensors",
            )


def _is_plain(tensor: Tensor) -> bool:
    special = tensor.is_meta or tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided
    return not special and tensor.dtype in FLOATS | COUNTERS


def _reject_non_weights(path: Path, start: bytes) -> None:
    """Refuse what downloads leave behind instead of weights."""
    if path.suffix == ".onnx":
        raise CheckpointError(
            f"{path}: an ONNX model, not a checkpoint", "run it with onnxruntime, or save its initializers"
        )
    lower = start.lstrip().lower()
    if lower.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path}: a web page, not a checkpoint", "download the file itself (the 'raw' link)")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a Git LFS pointer, not a checkpoint", "run 'git lfs pull' in its repository")
    if b"\xef\xbf\xbd" in start and not start.startswith(b"MATLAB"):
        raise CheckpointError(f"{path}: corrupted by a copy in text mode", "copy or download it again as a binary file")


def _read_torch(path: Path) -> object:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if file.read(4) == b"PK\x03\x04":
                check_torch_archive(path)
            else:
                check_pickle(file.read())
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except LimitError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except pickle.UnpicklingError as error:
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path}: contains a pickled Python object ({found[1]}), which was not executed",
                "if you trust the file, load it with torch.load(path, weights_only=False) where its code is installed, "
                "and save module.state_dict()",
            ) from error
        raise CheckpointError(
            f"{path}: corrupt, or pickled Python objects instead of weights; nothing was executed"
        ) from error
    except Exception as error:  # a damaged file can make the unpickler raise anything
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path}: a TorchScript model, not a checkpoint", "save the module's state_dict()"
            ) from error
        raise CheckpointError(f"{path}: neither a safetensors nor a torch checkpoint, or truncated") from error


def _unwrapped(content: object) -> object:
    for _ in range(8):  # a malicious file can contain itself
        if not isinstance(content, dict):
            break
        inner = [content[name] for name in WRAPPERS if isinstance(content.get(name), dict)]
        only = next(iter(content.values())) if len(content) == 1 else None
        if not inner and not isinstance(only, dict):
            break
        content = inner[0] if inner else only
    return content


def _plain(content: object, path: object) -> dict[str, Tensor]:
    """Return the content as a state dict.

    Raises:
        CheckpointError: it is not a state dict.
    """
    if not isinstance(content, dict) or not content:
        found = "an empty dict" if content == {} else f"a Python {type(content).__name__}"
        raise CheckpointError(f"{path}: expected a state dict (name -> tensor), got {found}", "save net.state_dict()")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            label = str(name) if isinstance(name, (str, int)) else type(name).__name__
            raise CheckpointError(
                f"{path}: expected a state dict (name -> tensor), but {printable(label)} is a Python "
                f"{type(value).__name__}",
                "save only tensors",
            )
    return content
