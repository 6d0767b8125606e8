"""From the options of a command to a network with weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from srblocks._utils.arguments import parse_argument
from srblocks._utils.memory import is_out_of_memory
from srblocks.checkpoints import CheckpointError, load_checkpoint
from srblocks.checkpoints.build import build_on_meta
from srblocks.checkpoints.errors import MissingArgumentError, WrongScaleError
from srblocks.color import on_rgb
from srblocks.errors import MissingLibraryError
from srblocks.factory import create_network
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks.pretrained import DEFAULT_NETWORK, pretrained_path
from srblocks.registry import NetworkSpec, UnknownNetworkError

from .errors import ExportError, first_line

if TYPE_CHECKING:
    from .cli import ModelOptions

_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".mat", ".pth.tar")


def open_network(options: "ModelOptions", *, seed: int) -> tuple[Network, list[str]]:
    """Build the network in eval mode; return it with warnings for the user.

    Raises:
        ExportError: E201 unknown network, E205 wrong scale, E206 wrong or missing argument, E401 a library to
            read the weights is missing, E901 invalid weights file, E902 unreadable weights file.
    """
    file = options.model if options.model and options.model.lower().endswith(_WEIGHTS) else None
    if file and options.weights:
        raise ExportError(206, f"{file} is a weights file, too", "remove --weights, or name the network")
    if file or (options.weights and not options.model):
        net, warnings = _from_weights(Path(file or options.weights or ""), None, options)
    else:
        net, warnings = _named(options, seed)
    if options.color not in (None, net.color):
        if options.color != "rgb":
            raise ExportError(206, f"the network works on {net.color}, not on {options.color}", "remove --color")
        net = on_rgb(net)
    return net, warnings


def _named(options: "ModelOptions", seed: int) -> tuple[Network, list[str]]:
    """Build a registered network with the given, bundled or random weights."""
    name = options.model or DEFAULT_NETWORK
    try:
        spec = network_spec(name)
    except UnknownNetworkError as error:
        if _exists(name):
            cause, remedy = f"{name} is not a network", "for a weights file without a known suffix use --weights"
            raise ExportError(201, cause, remedy) from None
        raise ExportError(201, error.cause, error.remedy) from None
    # Networks with pre-upsampling also accept images that are upscaled already.
    if options.scale not in (None, *spec.scales) and not (options.scale == 1 and spec.framework == "pre"):
        scales = ", ".join(map(str, spec.scales))
        raise ExportError(205, f"{name} does not support scale {options.scale}", f"use --scale {scales}")
    if options.weights:
        return _from_weights(options.weights, spec, options)
    scale = options.scale or min(spec.scales)
    weights = None if options.arguments else pretrained_path(name, scale=scale)
    if weights:
        return _from_weights(weights, spec, options)
    torch.manual_seed(seed)
    arguments = _arguments(options, spec)
    try:
        build_on_meta(name, {**arguments, "scale": scale})  # rejects networks that are too large to build
        net = create_network(name, scale=scale, **arguments).eval()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if is_out_of_memory(error):
            raise
        cause = f"{name} cannot be built: {first_line(error)}"
        raise ExportError(206, cause, "see the arguments in its docstring") from None
    return net, [f"warning: random weights (seed {seed}) for {name} x{scale}; pass trained ones with --weights"]


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a file name
        return False


def _from_weights(path: Path, spec: NetworkSpec | None, options: "ModelOptions") -> tuple[Network, list[str]]:
    """Build the network of a weights file; one for any scale at its smallest scale if none is given."""
    net = _load(path, spec, options.scale, options)
    if options.scale is not None or (net.scale > 1 and len(net.scales) == 1):
        return net, []
    if net.scale == 1 and not spec:
        reason = "at scale 1 the network takes images that are upscaled already"
    elif net.scale == 1 and spec:
        net = _load(path, spec, min(spec.scales), options)
        reason = f"the weights support any scale, exporting x{net.scale}"
    else:
        reason = f"the weights support {', '.join(f'x{scale}' for scale in net.scales)}, exporting x{net.scale}"
        net = net.at_scale(net.scale)
    return net, [f"warning: {reason}; choose another with --scale"]


def _load(path: Path, spec: NetworkSpec | None, scale: int | None, options: "ModelOptions") -> Network:
    arguments = _arguments(options, spec)
    try:
        return load_checkpoint(path, network=spec.name if spec else None, scale=scale, **arguments)
    except WrongScaleError as error:
        raise ExportError(205, error.cause, "remove --scale, or use another one") from error
    except MissingArgumentError as error:
        raise ExportError(206, error.cause, "use --scale, or --arg NAME=VALUE") from error
    except MissingLibraryError as error:
        raise ExportError(401, error.cause, error.remedy) from error
    except CheckpointError as error:
        raise ExportError(901, error.cause, "use a weights file of this network, or name the network") from error
    except OSError as error:
        cause = f"{error.filename} cannot be read ({error.strerror})"
        raise ExportError(902, cause, "use the path of a weights file") from error
    except TypeError as error:
        raise ExportError(206, f"{path}: {first_line(error)}", "see the arguments in the network's docstring") from None


def _arguments(options: "ModelOptions", spec: NetworkSpec | None) -> dict[str, Any]:
    try:
        return dict(parse_argument(pair, spec) for pair in options.arguments)
    except ValueError as error:
        raise ExportError(206, first_line(error)) from None
