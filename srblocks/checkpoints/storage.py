"""Checkpoint files: safetensors with the configuration in the metadata, and state dicts of torch."""

import errno
import json
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..files import atomic_path
from ..frameworks import PreUpsampling
from ..network import Network
from ..registry import create_network, network_name

METADATA_KEY = "srblocks"


class CheckpointError(ValueError):
    """A weights file that is corrupt, foreign, or of another network."""


def save_checkpoint(net: Network, path: str | os.PathLike[str], *, record: dict[str, Any] | None = None) -> None:
    """Write weights, network name and configuration into one safetensors file, atomically.

    Args:
        net: a network of a registered class.
        path: the file, overwritten if it exists.
        record: further JSON-able facts for the metadata, such as how the weights were made.

    Raises:
        ValueError: the class of `net` is in no registry row.
        OSError: the file cannot be written.
    """
    metadata = {**(record or {}), "network": network_name(net), "config": net.config}
    tensors = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(Path(path).parent))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def load_checkpoint(path: str | os.PathLike[str]) -> Network:
    """Build the network that a file of `save_checkpoint` describes, with its weights, in eval mode.

    Raises:
        CheckpointError: the file is corrupt, or carries no srblocks configuration.
        OSError: the file cannot be read.
    """
    tensors, metadata = _read(Path(path))
    if not metadata:
        raise CheckpointError(
            f"{path}: no srblocks configuration inside; build the network with create_network() and use load_weights()"
        )
    try:
        net = create_network(metadata["network"], **metadata["config"])
    except Exception as error:  # whatever a foreign configuration leads to
        raise CheckpointError(f"{path}: its srblocks configuration builds no network here ({error})") from error
    _fill(net, tensors, path)
    return net.eval()


def load_weights(net: Network, path: str | os.PathLike[str], *, same_config: bool = True) -> None:
    """Load the weights of a file into an existing network; every tensor must fit.

    Args:
        net: the network, changed only when everything fits.
        path: safetensors, or a torch file that holds a plain state dict. Pickled modules are refused, never executed.
        same_config: refuse a file whose recorded configuration is another one; False to start a training from the
            weights of another scale, say. The scale of a network that enlarges first is not part of its weights.

    Raises:
        CheckpointError: the file is corrupt, or its tensors are not those of `net`.
        OSError: the file cannot be read.
    """
    tensors, metadata = _read(Path(path))
    if same_config and metadata:
        _compare(net, metadata, path)
    _fill(net, tensors, path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a weights file, and the srblocks metadata (empty where it has none)."""
    with path.open("rb") as file:
        start = file.read(9)
    if path.suffix == ".safetensors" or start[8:] == b"{":
        return _read_safetensors(path)
    return _read_torch(path), {}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
    except (SafetensorError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error}); was it downloaded whole?") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path}: its srblocks configuration is unreadable")
    return tensors, metadata


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds pickled Python objects or is corrupt, and was not executed; where you trust its source, "
            "load it there with weights_only=False and save its state_dict() as safetensors"
        ) from error
    except Exception as error:  # on a damaged file the restricted unpickler raises whatever the bytes lead to
        raise CheckpointError(f"{path}: neither safetensors nor a torch checkpoint, or truncated") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise CheckpointError(f"{path}: holds no plain state dict (name -> tensor); save net.state_dict() instead")
    return content


def _compare(net: Network, metadata: dict[str, Any], path: str | os.PathLike[str]) -> None:
    recorded = metadata.get("config")
    if not isinstance(recorded, dict):
        raise CheckpointError(f"{path}: its srblocks configuration is unreadable")
    ignored = {"scale"} if isinstance(net, PreUpsampling) else set[str]()
    others = [
        f"{name}={recorded[name]!r} instead of {value!r}"
        for name, value in net.config.items()
        if name in recorded and name not in ignored and recorded[name] != value
    ]
    if others:
        raise CheckpointError(
            f"{path}: weights of {metadata.get('network')} with {', '.join(others)}; "
            "build the network with the file's own configuration (load_checkpoint does)"
        )


def _fill(net: Network, tensors: dict[str, Tensor], path: str | os.PathLike[str]) -> None:
    expected = net.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys())
    reshaped = [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {kind}, first {names[0]}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if names
    ]
    if problems:
        raise CheckpointError(f"{path}: not the weights of this {type(net).__name__} ({'; '.join(problems)})")
    unusable = [name for name, tensor in expected.items() if not _fits(tensors[name], tensor)]
    if unusable:
        kind = f"{tensors[unusable[0]].dtype}, {tensors[unusable[0]].layout}"
        raise CheckpointError(
            f"{path}: {len(unusable)} tensors are no plain numbers, first {unusable[0]} ({kind}); save float32"
        )
    tensors = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(f"{path}: {len(broken)} tensors hold NaN or infinity, first {broken[0]}")
    net.load_state_dict(tensors)


def _fits(tensor: Tensor, expected: Tensor) -> bool:
    """Tell whether a tensor holds numbers of the kind that a network keeps in the place of another one."""
    plain = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized
    if not expected.is_floating_point():
        return plain and tensor.dtype == expected.dtype
    return plain and tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
