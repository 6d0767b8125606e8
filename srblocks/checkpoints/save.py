"""Save networks with their configuration."""

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
from .build import build_plan, check_finite, check_fit
from .containers import CONFIG_TENSOR, METADATA_KEY, configuration_tensor

_SOURCE = "save_checkpoint"


def save_checkpoint(
    net: Network, path: str | os.PathLike[str], *, record: dict[str, Any] | None = None, as_tensor: bool = False
) -> None:
    """Write the weights, registry name and configuration of a network to a safetensors file, atomically.

    Args:
        net: a network of a registered class. For a compiled or parallel module, pass the network inside it:
            ``net._orig_mod`` or ``net.module``.
        path: output file; an existing file is replaced.
        record: additional JSON metadata, such as training settings.
        as_tensor: also store the configuration as a tensor, for programs that drop the metadata (ComfyUI).

    Raises:
        ValueError: the class is not registered, or the network was made from another one by `srblocks.optimize`,
            `srblocks.to_precision` or `srblocks.on_rgb`.
        CheckpointError: `load_checkpoint` would reject the file: modules were changed after construction, or a tensor
            contains NaN or infinity.
        TypeError: `net` is not a `Network`.
        OSError: the file cannot be written.
    """
    require_network(net, _SOURCE)
    if net.rewrites is not None:
        raise ValueError(f"{_SOURCE}: an optimized network cannot be saved; save the original network")
    if isinstance(getattr(net, "net", None), Network):
        raise ValueError(f"{_SOURCE}: {type(net).__name__} wraps another network; save its attribute net")
    name, tensors = network_name(net), contiguous_tensors(net)
    remedy = "modules were changed after construction; save net.state_dict()"
    check_fit(build_plan(name, net.config, _SOURCE), tensors, _SOURCE, remedy=remedy)
    check_finite([key for key, tensor in tensors.items() if not bool(tensor.isfinite().all())], _SOURCE)
    recorded = json.dumps({**(record or {}), "network": name, "config": net.config}, sort_keys=True)
    if as_tensor:
        tensors[CONFIG_TENSOR] = configuration_tensor(recorded)
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such directory", str(Path(path).parent))
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {METADATA_KEY: recorded}))  # save_file hides the OSError


def contiguous_tensors(net: Network) -> dict[str, Tensor]:
    """Return the state dict as safetensors requires it: contiguous, with shared memory copied."""
    tensors: dict[str, Tensor] = {}
    used: set[int] = set()
    for name, tensor in net.state_dict().items():
        contiguous = tensor.detach().contiguous()
        memory = contiguous.untyped_storage().data_ptr()
        tensors[name] = contiguous.clone() if memory in used else contiguous
        used.add(memory)
    return tensors
