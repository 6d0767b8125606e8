"""Saving networks with their configuration."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from .._utils.files import atomic_path
from ..network import Network, require_network
from ..networks import network_name
from .build import outline
from .containers import CONFIG_TENSOR, METADATA_KEY, configuration_tensor
from .errors import CheckpointError
from .fill import check_fit


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
        ValueError: the class of `net` is in no registry row, or another function made this network of one
            (`srblocks.optimize`, `srblocks.to_precision`, `srblocks.on_rgb`); as its subclass `CheckpointError`,
            `load_checkpoint` would refuse the file, for modules were changed after the network was built, or weights
            are not finite. Nothing is written then.
        TypeError: `net` is no `Network`.
        OSError: the file cannot be written.
    """
    require_network(net, "save_checkpoint")
    if net.rewrites is not None:
        raise ValueError("save_checkpoint: an optimized network has no configuration; save the one it was made from")
    if isinstance(getattr(net, "net", None), Network):
        raise ValueError(f"save_checkpoint: {type(net).__name__} only runs another network; save that one, its `net`")
    name, tensors = network_name(net), savable_tensors(net)
    _check_loadable(net, name, tensors)
    recorded = json.dumps({**(record or {}), "network": name, "config": net.config}, sort_keys=True)
    if as_tensor:
        tensors[CONFIG_TENSOR] = configuration_tensor(recorded)
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a folder", str(path))
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(Path(path).parent))
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {METADATA_KEY: recorded}))  # save_file hides why a file cannot be written


def _check_loadable(net: Network, name: str, tensors: dict[str, Tensor]) -> None:
    remark = "; its modules are not those of its configuration, save its state_dict"
    check_fit(outline(name, net.config, "save_checkpoint"), tensors, "save_checkpoint", remark=remark)
    if broken := [key for key, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise CheckpointError(f"save_checkpoint: {len(broken)} tensors hold NaN or infinity, first {broken[0]}")


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
