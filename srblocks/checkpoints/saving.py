"""Saving networks with their configuration."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from ..files import atomic_path
from ..network import Network
from ..registry import network_name
from .reading import CONFIG_TENSOR, METADATA_KEY, configuration_tensor


def save_checkpoint(
    net: Network, path: str | os.PathLike[str], *, record: dict[str, Any] | None = None, as_tensor: bool = False
) -> None:
    """Write weights, network name and configuration into one safetensors file, atomically.

    Args:
        net: a network of a registered class.
        path: the file, overwritten if it exists.
        record: further JSON-able facts for the metadata, such as how the weights were made.
        as_tensor: write the configuration as one more tensor too, for programs that read the tensors alone and hand
            them on (ComfyUI).

    Raises:
        ValueError: the class of `net` is in no registry row, or `srblocks.optimize` made this network.
        OSError: the file cannot be written.
    """
    if net.rewrites is not None:
        raise ValueError("save_checkpoint: an optimised network has no configuration; save the one it was made from")
    recorded = json.dumps({**(record or {}), "network": network_name(net), "config": net.config}, sort_keys=True)
    tensors = savable_tensors(net)
    if as_tensor:
        tensors[CONFIG_TENSOR] = configuration_tensor(recorded)
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(Path(path).parent))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: recorded})


def savable_tensors(net: Network) -> dict[str, Tensor]:
    """Give the tensors of a network as safetensors takes them: contiguous, and those that share memory as copies."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in net.state_dict().items():
        whole = tensor.detach().contiguous()
        memory = whole.untyped_storage().data_ptr()
        tensors[name] = whole.clone() if memory in seen else whole
        seen.add(memory)
    return tensors
