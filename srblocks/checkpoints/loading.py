"""Loading our own and other people's weights, into a network that they show or into one at hand."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..frameworks import PreUpsampling
from ..network import Network
from ..registry import create_network, network_name, network_spec
from .errors import CheckpointError, UnseenArgumentError, WrongScaleError
from .filling import check_config, check_fit, fill
from .reading import Contents, read_contents
from .recognition import Recognition, recognise

PathLike = str | os.PathLike[str]


def load_checkpoint(
    path: PathLike, *, network: str | None = None, scale: int | None = None, **config: object
) -> Network:
    """Build the network that a weights file belongs to, with its weights, in eval mode.

    The network and its variant come from the configuration that `save_checkpoint` wrote, else from the names and
    shapes of the tensors: the layouts of many authors and ports are known (README.md beside this file lists them). What
    tensors do not show, such as the value range or a residual scale, comes from the layout, else from an argument. The
    network is in double precision where the file is, else in single.

    Args:
        path: safetensors; a torch file of a state dict, also inside a training checkpoint; MatConvNet's .mat. Pickled
            modules are refused, never executed.
        network: registry name that the file must be of; None to recognise it. Needed for a plain state dict with our
            names, which holds no configuration.
        scale: enlargement per side; one of those that the weights serve, of which it then holds that alone. None for
            the file's own: of several the smallest, and 1 for a network that enlarges first, whose weights serve all.
        config: constructor arguments that the file does not show.

    Raises:
        CheckpointError: the file is corrupt, of an unknown layout or another network; as its subclasses
            `UnseenArgumentError`, it does not show all arguments, and `WrongScaleError`, it is of another scale.
        UnknownNetworkError: there is no network named `network`.
        TypeError: the network has no such argument.
        OSError: the file cannot be read.

    Example:
        >>> from srblocks.pretrained import pretrained_path
        >>> load_checkpoint(pretrained_path("fsrcnn", scale=2)).scale
        2
    """
    contents = read_contents(Path(path))
    name, arguments, found = _identify(contents, network, scale, config, path)
    outline = _outline(name, arguments, path)
    if network is not None:
        _check_name(outline, network, config, path)
    check_fit(outline, found.completed(outline) if found else contents.tensors, path)
    with torch.random.fork_rng(devices=[]):
        net = create_network(name, **arguments)
    if all(tensor.dtype == torch.float64 for tensor in contents.tensors.values() if tensor.is_floating_point()):
        net.double()
    fill(net, found.completed(net) if found else contents.tensors, path)
    if scale is not None and (scale != net.scale or len(net.scales) > 1):
        if scale not in net.scales:
            served = " or ".join(f"x{each}" for each in net.scales)
            raise WrongScaleError(f"{path}: weights of {name} for {served}, not for x{scale}")
        net = net.at_scale(scale)
    return net.eval()


def load_weights(net: Network, path: PathLike, *, same_config: bool = True) -> None:
    """Load the weights of a file into an existing network; every tensor must fit.

    Args:
        net: the network, changed only when everything fits.
        path: a file as `load_checkpoint` takes it.
        same_config: refuse a file whose configuration is another one; False to start a training from the weights of
            another scale, say. The scale of a network that enlarges first is not part of its weights.

    Raises:
        CheckpointError: the file is corrupt, or its tensors are not those of `net`.
        OSError: the file cannot be read.
    """
    contents = read_contents(Path(path))
    tensors, config = contents.tensors, contents.metadata.get("config", {} if not contents.metadata else None)
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: its srblocks configuration is unreadable")
    if not contents.metadata and not _has_our_names(tensors, net.state_dict()):
        found = recognise(tensors, path, facts=contents.facts, like=type(net))
        tensors, config = found.completed(net), dict(found.seen)
    if same_config:
        ignored = frozenset({"scale"} if isinstance(net, PreUpsampling) else ())
        check_config(net.config, config, path, ignored=ignored)
    check_fit(net, tensors, path)
    fill(net, tensors, path)


def _identify(
    contents: Contents, network: str | None, scale: int | None, arguments: dict[str, Any], path: PathLike
) -> tuple[str, dict[str, Any], Recognition | None]:
    """Tell the network of a file, its constructor arguments, and whose layout it is where that is not ours."""
    if contents.metadata:
        return *_recorded(contents.metadata, scale, arguments, path), None
    if network is not None:
        config = _plain(contents.tensors, network, scale, arguments, path)
        if config is not None:
            return network, config, None
    like = network_spec(network).constructor[0] if network is not None else None
    found = recognise(contents.tensors, path, facts=contents.facts, like=like)
    name = found.dialect.network
    if scale is not None and (network_spec(name).framework == "pre" or "scale" in found.dialect.unseen):
        arguments = {**arguments, "scale": scale}
    return name, found.configuration(arguments, path), found


def _recorded(
    metadata: Mapping[str, Any], scale: int | None, arguments: Mapping[str, Any], path: PathLike
) -> tuple[str, dict[str, Any]]:
    """Read what `save_checkpoint` recorded."""
    try:
        name, config = str(metadata["network"]), dict(metadata["config"])
        if network_spec(name).framework == "pre" and scale is not None:
            config["scale"] = scale
        _outline(name, config, path)
    except Exception as error:  # whatever a foreign configuration leads to
        raise CheckpointError(f"{path}: its srblocks configuration builds no network here ({error})") from error
    check_config(arguments, config, path)
    return name, config


def _plain(
    tensors: Mapping[str, Tensor], network: str, scale: int | None, arguments: Mapping[str, Any], path: PathLike
) -> dict[str, Any] | None:
    """Give the arguments of a state dict with our names and no configuration; None where the names are not ours."""
    spec = network_spec(network)
    scales: list[int | None] = [scale] if scale else [1] if spec.framework == "pre" else [*spec.scales]
    if "scales" in spec.arguments():
        scales.append(None)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    fits: dict[int, tuple[int, ...]] = {}
    for each in scales:
        net = _outline(network, {**arguments, "scale": each}, path)
        own = {name: tensor.shape for name, tensor in net.state_dict().items()}
        if own == shapes:
            fits[each or 0] = net.scales
        elif each == scales[0] and not _has_our_names(shapes, own):
            return None
    # The x3 of a pyramid is its x4, resized.
    best = min(fits, key=lambda each: (each == 3, each), default=scales[0])
    if not set(fits) <= {best, *fits.get(best or 0, ())}:
        choices = ", ".join(map(str, fits))
        raise UnseenArgumentError(f"{path}: its tensors do not show the scale ({choices}); give it as an argument")
    return {**arguments, "scale": best or None}


def _has_our_names(names: Collection[str], own: Collection[str]) -> bool:
    """Tell whether names are ours, some of them missing or strange at the most."""
    return 2 * len(set(own).intersection(names)) >= len(own)


def _outline(network: str, config: Mapping[str, Any], path: PathLike) -> Network:
    """Build a network without memory for its tensors."""
    try:
        with torch.device("meta"):
            return create_network(network, **config)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: {network} cannot be built for these weights ({error})") from error


def _check_name(net: Network, network: str, given: Mapping[str, object], path: PathLike) -> None:
    """Refuse a network that is not the named row's: of another class, or of another variant."""
    name = network_name(net)
    bound = {key: value for key, value in network_spec(network).constructor[1].items() if key not in given}
    others = network_spec(name).constructor[1]
    another_variant = name != network and others and all(net.config[key] == value for key, value in others.items())
    if type(net) is not network_spec(network).constructor[0] or another_variant:
        raise CheckpointError(f"{path}: weights of {name}, not of {network}")
    check_config(bound, net.config, path)
