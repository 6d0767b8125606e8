"""From the words of a command line to a network with weights."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from srblocks.checkpoints import CheckpointError, load_checkpoint, load_weights
from srblocks.network import Network
from srblocks.pretrained import DEFAULT_NETWORK, pretrained_path
from srblocks.registry import NetworkSpec, UnknownNetworkError, create_network, network_spec

from .errors import ExportError, first_line
from .request import Source


def open_network(source: Source) -> tuple[Network, list[str]]:
    """Build the network in eval mode, with warnings for the user.

    Raises:
        ExportError: E201 unknown network, E205 wrong scale, E206 wrong argument, E901 bad weights file.
    """
    if source.model and source.model.lower().endswith(".safetensors"):
        return _from_checkpoint(source)
    name = source.model or DEFAULT_NETWORK
    try:
        spec = network_spec(name)
    except UnknownNetworkError as error:
        if Path(name).is_file():
            raise ExportError(
                201, f"{name} is a file, not a network", "name the network, and the file with --weights"
            ) from None
        raise ExportError(201, str(error).partition(";")[0], str(error).partition("; ")[2]) from None
    scale = min(spec.scales) if source.scale is None else source.scale
    # A network that enlarges first also takes images that are enlarged already.
    if scale not in spec.scales and not (scale == 1 and spec.framework == "pre"):
        raise ExportError(205, f"{name} has no scale {scale}", f"use --scale {', '.join(map(str, spec.scales))}")
    torch.manual_seed(source.seed)
    arguments = _arguments(source.arguments, spec)
    try:
        net = create_network(name, scale=scale, **arguments).eval()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        cause = f"{name} cannot be built: {first_line(error)}"
        raise ExportError(206, cause, "see the arguments in its docstring") from None
    weights = source.weights or (None if source.arguments else pretrained_path(name, scale=scale))
    if weights is None:
        return net, [
            f"warning: fresh weights (seed {source.seed}) of {name} x{scale}; give trained ones with --weights"
        ]
    try:
        return _with_weights(net, weights, spec, arguments), []
    except (CheckpointError, OSError) as error:
        raise _bad_file(error) from error


def _with_weights(net: Network, weights: Path, spec: NetworkSpec, arguments: dict[str, Any]) -> Network:
    """Load the weights of a network of this scale, or of one with branches for several scales."""
    try:
        load_weights(net, weights)
    except CheckpointError:
        if "scales" not in spec.arguments():
            raise
        whole: Network | None = spec.build(**arguments)
        try:
            load_weights(whole, weights)
        except CheckpointError:
            whole = None
        if whole is None:
            raise
        return whole.eval().at_scale(net.scale)
    return net


def _from_checkpoint(source: Source) -> tuple[Network, list[str]]:
    path = Path(source.model or "")
    if source.weights or source.arguments:
        raise ExportError(206, f"{path} brings its own weights and arguments", "leave out --weights and --arg")
    try:
        net = load_checkpoint(path)
    except (CheckpointError, OSError) as error:
        raise _bad_file(error) from error
    scale = net.scale if source.scale is None else source.scale
    if scale not in net.scales:
        served = " or ".join(map(str, net.scales))
        raise ExportError(205, f"{path} is a network of scale {served}, not {scale}", "leave out --scale")
    return net.at_scale(scale), []


def _bad_file(error: Exception) -> ExportError:
    if isinstance(error, OSError):
        return ExportError(
            902, f"{error.filename} cannot be read ({error.strerror})", "give the path of a weights file"
        )
    return ExportError(901, str(error), "give a file of this network's weights")


def _arguments(pairs: Sequence[str], spec: NetworkSpec) -> dict[str, Any]:
    """Read KEY=VALUE pairs; each value must be of the kind of the argument's default."""
    defaults = spec.arguments()
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ExportError(206, f"--arg {pair!r} is no assignment", "write --arg key=value, such as --arg depth=8")
        if key not in defaults or key == "scale":
            known = ", ".join(name for name in defaults if name != "scale")
            raise ExportError(206, f"{spec.name} takes no --arg {key}", f"it takes {known}; the scale is --scale")
        arguments[key] = _value(key, text, defaults[key])
    return arguments


def _value(key: str, text: str, default: object) -> object:
    kind = int if default is None else type(default)
    if kind is str:
        return text
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text.lower())
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is kind or (kind is tuple and type(value) is list):
            return value
    raise ExportError(206, f"--arg {key}={text!r} is no {kind.__name__}", f"give a value like the default, {default}")
