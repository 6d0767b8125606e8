"""Tensors into networks: everything must fit, or nothing is loaded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..network import Network
from .errors import CheckpointError


def check_config(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: object, *, ignored: frozenset[str] = frozenset()
) -> None:
    """Refuse a configuration that differs from the wanted one where both say something."""
    others = [
        f"{name}={found[name]!r} instead of {value!r}"
        for name, value in wanted.items()
        if name in found and name not in ignored and found[name] != (list(value) if isinstance(value, tuple) else value)
    ]
    if others:
        raise CheckpointError(
            f"{path}: weights of a network with {', '.join(others)}; "
            "build the network with the file's own configuration (load_checkpoint does)"
        )


def check_fit(net: Network, tensors: Mapping[str, Tensor], path: object) -> None:
    """Compare names, shapes and kinds with those of a network.

    Raises:
        CheckpointError: one does not fit; the message counts what is missing, unexpected or of another shape.
    """
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


def fill(net: Network, tensors: Mapping[str, Tensor], path: object) -> None:
    """Load tensors that fit, if they are finite numbers.

    Raises:
        CheckpointError: some are not.
    """
    expected = net.state_dict()
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
