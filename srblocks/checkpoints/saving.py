"""Saving networks with their configuration."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ..files import atomic_path
from ..network import Network
from ..registry import network_name
from .reading import METADATA_KEY


def save_checkpoint(net: Network, path: str | os.PathLike[str], *, record: dict[str, Any] | None = None) -> None:
    """Write weights, network name and configuration into one safetensors file, atomically.

    Args:
        net: a network of a registered class.
        path: the file, overwritten if it exists.
        record: further JSON-able facts for the metadata, such as how the weights were made.

    Raises:
        ValueError: the class of `net` is in no registry row, or `srblocks.optimize` made this network.
        OSError: the file cannot be written.
    """
    if net.rewrites is not None:
        raise ValueError("save_checkpoint: an optimised network has no configuration; save the one it was made from")
    metadata = {**(record or {}), "network": network_name(net), "config": net.config}
    tensors = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(Path(path).parent))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)})
