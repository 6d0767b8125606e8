"""Weights files as tensors by name: safetensors, torch files and MatConvNet's. Nothing in them is ever executed."""

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
from .errors import BoundError, CheckpointError, shown
from .limits import MOST_TENSORS, check_pickle, check_torch_archive
from .matconvnet import read_matconvnet

METADATA_KEY = "srblocks"
CONFIG_TENSOR = "srblocks.config"
"""Tensor that holds the configuration where metadata cannot: its JSON as bytes."""

WRAPPERS = ("model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net")
"""Entries of training checkpoints that hold the state dict, in the order in which they are tried."""

_LONGEST_CONFIGURATION = 2**20

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
COUNTERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


@dataclass(frozen=True)
class Contents:
    """What a weights file holds.

    Attributes:
        tensors: by name.
        metadata: the configuration that srblocks wrote, empty where another program wrote the file.
        facts: constructor arguments that the file shows by other means than its tensors.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def contents_of(state: object, source: object) -> Contents:
    """Take a state dict in memory for what a file holds, also inside a training checkpoint.

    Args:
        state: the state dict, left as it is.
        source: what messages call it.

    Raises:
        CheckpointError: it is something else, or its configuration is unreadable.
    """
    return _checked(Contents(_plain(_unwrapped(state), source)), source)


def configuration_tensor(recorded: str) -> Tensor:
    """Give a configuration in JSON as `CONFIG_TENSOR` holds it.

    Example:
        >>> configuration_tensor("{}")
        tensor([123, 125], dtype=torch.uint8)
    """
    return torch.tensor(list(recorded.encode()), dtype=torch.uint8)


def read_contents(path: Path) -> Contents:
    """Read a weights file.

    Raises:
        CheckpointError: the file is corrupt or holds something else.
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise CheckpointError(f"{path}: no regular file; copy the weights into one")
    with path.open("rb") as file:
        start = file.read(512)
    _refuse_text(path, start)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        contents = _read_safetensors(path)
    elif path.suffix == ".mat" or start.startswith(b"MATLAB"):
        contents = Contents(*read_matconvnet(path, start))
    else:
        contents = Contents(_plain(_unwrapped(_read_torch(path)), path))
    return _checked(contents, path)


def _checked(contents: Contents, source: object) -> Contents:
    """Refuse tensors that no network keeps; take a configuration out of them."""
    if len(contents.tensors) > MOST_TENSORS:
        raise CheckpointError(f"{source}: {len(contents.tensors)} tensors; no network has more than {MOST_TENSORS}")
    _check_kinds(contents.tensors, source)
    if CONFIG_TENSOR not in contents.tensors:
        return contents
    tensors = {name: tensor for name, tensor in contents.tensors.items() if name != CONFIG_TENSOR}
    return replace(contents, tensors=tensors, metadata=configuration_in(contents.tensors[CONFIG_TENSOR], source))


def configuration_in(tensor: Tensor, source: object) -> dict[str, Any]:
    """Read what `configuration_tensor` wrote.

    Raises:
        CheckpointError: it is unreadable.
    """
    readable = tensor.dtype == torch.uint8 and tensor.numel() <= _LONGEST_CONFIGURATION
    recorded = tensor.cpu().numpy().tobytes() if readable else b""
    return _parsed(recorded.decode(errors="replace"), source)


def _parsed(recorded: str, source: object) -> dict[str, Any]:
    try:
        metadata = json.loads(recorded) if len(recorded) <= _LONGEST_CONFIGURATION else None
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{source}: its srblocks configuration is unreadable; save it with save_checkpoint")
    return metadata


def _read_safetensors(path: Path) -> Contents:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            recorded = (file.metadata() or {}).get(METADATA_KEY, "{}")
    except Exception as error:  # safetensors' own, and torch's of sizes that it cannot hold
        if isinstance(error, OSError) and error.errno:
            raise
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        reason = shown(str(error).partition("\n")[0])
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({reason}); was it downloaded whole?"
        ) from error
    metadata = _parsed(recorded, path)
    return Contents(tensors if metadata else _plain(tensors, path), metadata)


def _check_kinds(tensors: Mapping[str, Tensor], path: object) -> None:
    """Refuse what no network keeps, and shapes that promise more numbers than the file holds."""
    strange = [name for name, tensor in tensors.items() if not _is_plain(tensor)]
    if strange:
        tensor = tensors[strange[0]]
        raise CheckpointError(
            f"{path}: {len(strange)} tensors are no plain numbers, first {shown(strange[0])} "
            f"({tensor.dtype}, {tensor.layout}); save float32"
        )
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path}: {shown(name)} repeats fewer numbers than its shape {tuple(tensor.shape)} has; "
                "save contiguous tensors"
            )


def _is_plain(tensor: Tensor) -> bool:
    special = tensor.is_meta or tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided
    return not special and tensor.dtype in FLOATS | COUNTERS


def _refuse_text(path: Path, start: bytes) -> None:
    """Refuse what downloads leave behind instead of weights."""
    if path.suffix == ".onnx":
        raise CheckpointError(f"{path}: an ONNX graph, not weights; run it with onnxruntime, or save its initializers")
    lower = start.lstrip().lower()
    if lower.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path}: a web page, not weights; download the file itself (the 'raw' link)")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: a pointer of Git LFS, not weights; run 'git lfs pull' in its repository")
    if b"\xef\xbf\xbd" in start and not start.startswith(b"MATLAB"):
        raise CheckpointError(f"{path}: mangled by a copy as text; copy or download it again as a binary file")


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
    except BoundError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except pickle.UnpicklingError as error:
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path}: holds a pickled Python object ({found[1]}); loading it would execute its code, so it was not "
                "executed; where you trust it and have that code, load it there with torch.load(path, "
                "weights_only=False) and save module.state_dict() alone"
            ) from error
        raise CheckpointError(
            f"{path}: corrupt, or pickled Python objects in place of weights; nothing was executed"
        ) from error
    except Exception as error:  # on a damaged file the restricted unpickler raises whatever the bytes lead to
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path}: a TorchScript archive, not weights; save the module's state_dict()"
            ) from error
        raise CheckpointError(f"{path}: neither safetensors nor a torch checkpoint, or truncated") from error


def _unwrapped(content: object) -> object:
    for _ in range(8):  # a file can wrap a state dict in itself
        if not isinstance(content, dict):
            break
        inner = [content[name] for name in WRAPPERS if isinstance(content.get(name), dict)]
        alone = next(iter(content.values())) if len(content) == 1 else None
        if not inner and not isinstance(alone, dict):
            break
        content = inner[0] if inner else alone
    return content


def _plain(content: object, path: object) -> dict[str, Tensor]:
    """Give a state dict.

    Raises:
        CheckpointError: the content is something else.
    """
    if not isinstance(content, dict) or not content:
        found = "nothing" if content == {} else f"a Python {type(content).__name__}"
        raise CheckpointError(f"{path}: holds {found}, no state dict (name -> tensor); save net.state_dict()")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            label = str(name) if isinstance(name, (str, int)) else type(name).__name__
            entry = f"{shown(label)}, a Python {type(value).__name__}"
            raise CheckpointError(f"{path}: no plain state dict (name -> tensor): it holds {entry}; save tensors alone")
    return content
