"""From the words of a command line to a network with weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from srblocks.checkpoints import CheckpointError, load_checkpoint, load_weights
from srblocks.network import Network
from srblocks.pretrained import DEFAULT_NETWORK, pretrained_path
from srblocks.registry import UnknownNetworkError, create_network, network_spec

from .errors import ExportError
from .request import Source


def open_network(source: Source) -> tuple[Network, list[str]]:
    """Build the network in eval mode, with remarks for the user.

    Raises:
        ExportError: E201 unknown network, E205 wrong scale, E206 wrong argument, E901 bad weights file.
    """
    if source.model and source.model.endswith(".safetensors"):
        return _from_checkpoint(source)
    name = source.model or DEFAULT_NETWORK
    try:
        spec = network_spec(name)
    except UnknownNetworkError as error:
        raise ExportError(201, str(error).partition(";")[0], str(error).partition("; ")[2]) from None
    scale = min(spec.scales) if source.scale is None else source.scale
    if scale not in spec.scales:
        raise ExportError(205, f"{name} has no scale {scale}", f"use --scale {', '.join(map(str, spec.scales))}")
    bundled = None if source.arguments else pretrained_path(name, scale=scale)
    remarks: list[str] = []
    torch.manual_seed(source.seed)
    try:
        net = create_network(name, scale=scale, **_arguments(source.arguments)).eval()
    except (TypeError, ValueError) as error:
        raise ExportError(206, f"{name} cannot be built: {error}", "see the network's docstring") from None
    if source.weights:
        _load(net, source.weights)
    elif bundled:
        load_weights(net, bundled)
        remarks.append(f"bundled weights {bundled.stem}")
    else:
        remarks.append(f"fresh weights (seed {source.seed}): no --weights given, and none are bundled for this network")
    return net, remarks


def _from_checkpoint(source: Source) -> tuple[Network, list[str]]:
    path = Path(source.model or "")
    if source.weights or source.arguments:
        raise ExportError(206, f"{path} brings its own weights and arguments", "leave out --weights and --arg")
    try:
        net = load_checkpoint(path)
    except (CheckpointError, OSError) as error:
        raise _bad_file(error) from error
    if source.scale not in (None, net.scale):
        raise ExportError(205, f"{path} is a network of scale {net.scale}, not {source.scale}", "leave out --scale")
    return net, []


def _load(net: Network, path: Path) -> None:
    try:
        load_weights(net, path)
    except (CheckpointError, OSError) as error:
        raise _bad_file(error) from error


def _bad_file(error: Exception) -> ExportError:
    if isinstance(error, OSError):
        return ExportError(
            902, f"{error.filename} cannot be read ({error.strerror})", "give the path of a weights file"
        )
    return ExportError(901, str(error), "give a file of this network's weights")


def _arguments(pairs: Sequence[str]) -> dict[str, object]:
    arguments: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ExportError(206, f"--arg {pair!r} is no assignment", "write --arg key=value, such as --arg depth=8")
        try:
            arguments[key] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            arguments[key] = value
    return arguments
