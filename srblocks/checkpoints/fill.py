"""Tensors into networks: everything must fit, or nothing is loaded."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..network import Network
from .errors import CheckpointError, shown


def check_config(wanted: Mapping[str, Any], found: Mapping[str, Any], path: object, *, remedy: str) -> None:
    """Compare configurations where both say something.

    Raises:
        CheckpointError: they differ.
    """
    others = [
        f"{shown(f'{name}={found[name]!r}')} instead of {value!r}"
        for name, value in wanted.items()
        if name in found and found[name] != (list(value) if isinstance(value, tuple) else value)
    ]
    if others:
        raise CheckpointError(f"{path}: weights of a network with {', '.join(others)}; {remedy}")


def check_fit(net: Network, tensors: Mapping[str, Tensor], path: object, *, remark: str = "") -> None:
    """Compare names and shapes with those of a network.

    Raises:
        CheckpointError: one does not fit; the message counts what is missing, unexpected or of another shape.
    """
    expected = net.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(map(shown, tensors.keys() - expected.keys()))
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
        raise CheckpointError(f"{path}: not the weights of this {type(net).__name__} ({'; '.join(problems)}){remark}")


def fill(net: Network, tensors: Mapping[str, Tensor], path: object) -> None:
    """Load tensors whose names and shapes fit, if they are finite numbers.

    Raises:
        CheckpointError: some are not.
    """
    expected = net.state_dict()
    whole = [
        name
        for name, tensor in expected.items()
        if tensor.is_floating_point() and not tensors[name].is_floating_point()
    ]
    if whole:
        kind = tensors[whole[0]].dtype
        raise CheckpointError(
            f"{path}: {len(whole)} tensors are whole numbers, first {whole[0]} ({kind}); save float32"
        )
    cast = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    broken = [name for name in cast if not bool((tensors[name].isfinite() & cast[name].isfinite()).all())]
    if broken:
        raise CheckpointError(f"{path}: {len(broken)} tensors hold NaN or infinity, first {broken[0]}")
    net.load_state_dict(cast)
