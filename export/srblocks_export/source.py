"""From the words of a command line to a network with weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from srblocks._utils.arguments import parse_argument
from srblocks._utils.memory import is_out_of_memory
from srblocks.checkpoints import CheckpointError, UnseenArgumentError, WrongScaleError, load_checkpoint
from srblocks.checkpoints.build import build_on_meta
from srblocks.color import on_rgb
from srblocks.factory import create_network
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.pretrained import DEFAULT_NETWORK, pretrained_path
from srblocks.registry import NetworkSpec, UnknownNetworkError

from .config import ModelSource
from .errors import ExportError, first_line

_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".mat", ".pth.tar")


def open_network(source: ModelSource) -> tuple[Network, list[str]]:
    """Build the network in eval mode, with warnings for the user.

    Raises:
        ExportError: E201 unknown network, E205 wrong scale, E206 wrong or missing argument, E401 a library to
            read the weights is missing, E901 bad weights file, E902 one that cannot be read.
    """
    file = source.model if source.model and source.model.lower().endswith(_WEIGHTS) else None
    if file and source.weights:
        raise ExportError(206, f"{file} brings its own weights", "leave out --weights, or name the network")
    if file or (source.weights and not source.model):
        net, remarks = _from_weights(Path(file or source.weights or ""), None, source)
    else:
        net, remarks = _named(source)
    if source.color not in (None, net.color):
        if source.color != "rgb":
            raise ExportError(206, f"the network works on {net.color}, not on {source.color}", "leave out --color")
        net = on_rgb(net)
    return net, remarks


def _named(source: ModelSource) -> tuple[Network, list[str]]:
    """Build a registered network with the weights named, bundled or fresh."""
    name = source.model or DEFAULT_NETWORK
    try:
        spec = network_spec(name)
    except UnknownNetworkError as error:
        if _is_file(name):
            cause, remedy = f"{name} is a file, not a network", "give a file of weights with --weights"
            raise ExportError(201, cause, remedy) from None
        raise ExportError(201, str(error).partition(";")[0], str(error).partition("; ")[2]) from None
    # A network that enlarges first also takes images that are enlarged already.
    if source.scale not in (None, *spec.scales) and not (source.scale == 1 and spec.framework == "pre"):
        raise ExportError(205, f"{name} has no scale {source.scale}", f"use --scale {', '.join(map(str, spec.scales))}")
    if source.weights:
        return _from_weights(source.weights, spec, source)
    scale = source.scale or min(spec.scales)
    weights = None if source.arguments else pretrained_path(name, scale=scale)
    if weights:
        return _from_weights(weights, spec, source)
    torch.manual_seed(source.seed)
    arguments = _arguments(source.arguments, spec)
    try:
        build_on_meta(name, {**arguments, "scale": scale})  # refuses what would take hours to build
        net = create_network(name, scale=scale, **arguments).eval()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if is_out_of_memory(error):
            raise
        cause = f"{name} cannot be built: {first_line(error)}"
        raise ExportError(206, cause, "see the arguments in its docstring") from None
    return net, [f"warning: fresh weights (seed {source.seed}) of {name} x{scale}; give trained ones with --weights"]


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # no name that a file can have
        return False


def _from_weights(path: Path, spec: NetworkSpec | None, source: ModelSource) -> tuple[Network, list[str]]:
    """Build the network of a weights file; a named one that enlarges first, at its smallest scale if none is said."""
    net = _loaded(path, spec, source.scale, source)
    if source.scale is not None or (net.scale > 1 and len(net.scales) == 1):
        return net, []
    if net.scale == 1 and not spec:
        remark = "at scale 1 the network takes images that are enlarged already"
    elif net.scale == 1 and spec:
        net = _loaded(path, spec, min(spec.scales), source)
        remark = f"the weights serve every scale, this is x{net.scale}"
    else:
        remark = f"the weights serve {', '.join(f'x{scale}' for scale in net.scales)}, this is x{net.scale}"
        net = net.at_scale(net.scale)
    return net, [f"warning: {remark}; choose another with --scale"]


def _loaded(path: Path, spec: NetworkSpec | None, scale: int | None, source: ModelSource) -> Network:
    arguments = _arguments(source.arguments, spec)
    try:
        return load_checkpoint(path, network=spec.name if spec else None, scale=scale, **arguments)
    except WrongScaleError as error:
        raise ExportError(205, str(error), "leave out --scale") from error
    except UnseenArgumentError as error:
        raise ExportError(206, str(error), "use --scale, or --arg NAME=VALUE") from error
    except ImportError as error:
        cause, _, remedy = str(error).partition("; ")
        raise ExportError(401, cause, remedy) from error
    except CheckpointError as error:
        raise ExportError(901, str(error), "give a file of this network's weights") from error
    except OSError as error:
        cause = f"{error.filename} cannot be read ({error.strerror})"
        raise ExportError(902, cause, "give the path of a weights file") from error
    except TypeError as error:
        raise ExportError(206, f"{path}: {first_line(error)}", "see the arguments in the network's docstring") from None


def _arguments(pairs: Sequence[str], spec: NetworkSpec | None) -> dict[str, Any]:
    try:
        return dict(parse_argument(pair, spec) for pair in pairs)
    except ValueError as error:
        cause, _, remedy = str(error).partition("; ")
        raise ExportError(206, cause, remedy) from None
