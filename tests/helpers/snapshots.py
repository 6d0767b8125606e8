"""Snapshots of networks (parameters, multiply-accumulates, state-dict keys), one JSON file each in tests/snapshots."""

import functools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from srblocks import create_network
from srblocks.init import skip_random_init
from srblocks.network import Network
from srblocks.registry import NetworkSpec

FOLDER = Path(__file__).parents[1] / "snapshots"
SIDE = 24
"""Height and width of the input for which multiply-accumulates are counted."""

_ACTIVATIONS = {"relu", "leaky_relu", "prelu", "sigmoid"}


class Skip(TorchFunctionMode):
    """Skips functions that keep the shape of their first argument: they are slow on the meta device."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.names:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def on_meta(name: str, **arguments: object) -> Network:
    """Return a network on the meta device, in eval mode."""
    with torch.device("meta"), skip_random_init():
        return create_network(name, **arguments).eval()


def network_snapshot(spec: NetworkSpec, networks: dict[int, Network]) -> dict[str, Any]:
    """Return the snapshot of a network.

    - ``scales``: for each scale the parameters at full depth, the multiply-accumulates of the convolution layers for a
      24x24 input (including all intermediate outputs) and the size requirements.
    - ``state_dict``: keys and shapes at the reduced depth and the smallest scale.

    Args:
        spec: the network.
        networks: the network on the meta device at each of its scales.
    """
    scales: dict[str, Any] = {}
    for scale, net in networks.items():
        sizes = vars(spec.size_requirements[scale])
        scales[str(scale)] = {"parameters": count_parameters(net), "macs": _count_macs(net), **sizes}
    reduced = on_meta(spec.name, **spec.reduced).state_dict()
    return {"scales": scales, "state_dict": {name: list(tensor.shape) for name, tensor in reduced.items()}}


def count_parameters(net: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in net.parameters())


def _count_macs(net: Network) -> int:
    total = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += layer.weight.numel() * math.prod((inputs[0] if layer.transposed else output).shape[2:])

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(add)
    with torch.no_grad(), Skip(_ACTIVATIONS):
        net.intermediate_outputs(torch.empty(1, net.image_channels, SIDE, SIDE, device="meta"))
    return total


@functools.cache
def read_snapshot(name: str) -> dict[str, Any]:
    """Return the recorded snapshot of a network."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def recorded(name: str, scale: int, figure: str) -> int:
    """Return a number of the recorded snapshot, "parameters" or "macs"."""
    return read_snapshot(name)["scales"][str(scale)][figure]


def write_snapshot(name: str, snapshot: dict[str, Any]) -> None:
    """Write a snapshot, one shape or number per line."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(snapshot, indent=1)
    text = re.sub(r"\[\s+([^]]*?)\s+\]", lambda shape: f"[{' '.join(shape[1].split())}]", text)
    (FOLDER / f"{name}.json").write_text(text + "\n")
