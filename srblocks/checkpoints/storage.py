"""Saving networks with their configuration, and loading ours and other people's weights."""

import errno
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..files import atomic_path
from ..frameworks import PreUpsampling
from ..network import Network
from ..registry import create_network, network_name, network_spec
from .errors import CheckpointError, UnseenArgumentError, WrongScaleError
from .reading import METADATA_KEY, read_contents
from .recognition import Recognition, recognise

PathLike = str | os.PathLike[str]


def save_checkpoint(net: Network, path: PathLike, *, record: dict[str, Any] | None = None) -> None:
    """Write weights, network name and configuration into one safetensors file, atomically.

    Args:
        net: a network of a registered class.
        path: the file, overwritten if it exists.
        record: further JSON-able facts for the metadata, such as how the weights were made.

    Raises:
        ValueError: the class of `net` is in no registry row.
        OSError: the file cannot be written.
    """
    metadata = {**(record or {}), "network": network_name(net), "config": net.config}
    tensors = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(Path(path).parent))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def load_checkpoint(
    path: PathLike, *, network: str | None = None, scale: int | None = None, **config: object
) -> Network:
    """Build the network that a weights file belongs to, with its weights, in eval mode.

    The network and its variant come from the configuration that `save_checkpoint` wrote, else from the names and
    shapes of the tensors: the layouts of many authors and ports are known (``docs/checkpoints.md``). What tensors do
    not show, such as the value range or a residual scale, comes from the layout, else from an argument. The network
    is in double precision where the file is, else in single.

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
        OSError: the file cannot be read.

    Example:
        >>> from srblocks.pretrained import pretrained_path
        >>> load_checkpoint(pretrained_path("fsrcnn", scale=2)).scale
        2
    """
    contents = read_contents(Path(path))
    tensors = contents.tensors
    double = all(tensor.dtype == torch.float64 for tensor in tensors.values() if tensor.is_floating_point())
    net: Network | None = None
    found: Recognition | None = None
    if contents.metadata:
        net = _recorded(contents.metadata, path, scale, config)
    elif network is not None:
        net = _plain(tensors, network, scale, config, path)
    if net is None:
        like = network_spec(network).constructor[0] if network is not None else None
        found = recognise(tensors, path, facts=contents.facts, like=like)
        net = _foreign(found, path, scale, config)
    if double:
        net.double()
    if network is not None:
        _check_name(net, network, config, path)
    _fill(net, _completed(found, net) if found else tensors, path)
    if scale is not None and (scale != net.scale or len(net.scales) > 1):
        if scale not in net.scales:
            served = " or ".join(f"x{each}" for each in net.scales)
            raise WrongScaleError(f"{path}: weights of {network_name(net)} for {served}, not for x{scale}")
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
        tensors, config = _completed(found, net), dict(found.seen)
    if same_config:
        ignored = frozenset({"scale"} if isinstance(net, PreUpsampling) else ())
        _compare(net.config, config, path, ignored=ignored)
    _fill(net, tensors, path)


def _recorded(
    metadata: Mapping[str, Any], path: PathLike, scale: int | None, arguments: Mapping[str, object]
) -> Network:
    """Build the network that `save_checkpoint` recorded."""
    try:
        name, config = str(metadata["network"]), dict(metadata["config"])
        if network_spec(name).framework == "pre" and scale is not None:
            config["scale"] = scale
        _compare(arguments, config, path)
        with torch.random.fork_rng(devices=[]):
            return create_network(name, **config)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a foreign configuration leads to
        raise CheckpointError(f"{path}: its srblocks configuration builds no network here ({error})") from error


def _plain(
    tensors: Mapping[str, Tensor], network: str, scale: int | None, arguments: Mapping[str, Any], path: PathLike
) -> Network | None:
    """Build the network of a state dict with our names and no configuration; None where the names are not ours."""
    spec = network_spec(network)
    scales: list[int | None] = [scale] if scale else [1] if spec.framework == "pre" else [*spec.scales]
    if "scales" in spec.arguments():
        scales.append(None)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    fits: dict[int, tuple[int, ...]] = {}
    for each in scales:
        with torch.device("meta"):
            net = create_network(network, scale=each, **arguments)
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
    return _build(network, {**arguments, "scale": best or None}, path)


def _has_our_names(names: Collection[str], own: Collection[str]) -> bool:
    """Tell whether names are ours, some of them missing or strange at the most."""
    return 2 * len(set(own).intersection(names)) >= len(own)


def _foreign(found: Recognition, path: PathLike, scale: int | None, arguments: Mapping[str, object]) -> Network:
    """Build the network of a state dict with somebody else's names."""
    name = found.dialect.network
    if scale is not None and (network_spec(name).framework == "pre" or "scale" in found.dialect.unseen):
        arguments = {**arguments, "scale": scale}
    return _build(name, found.configuration(arguments, path), path)


def _build(network: str, config: Mapping[str, Any], path: PathLike) -> Network:
    """Build a network whose fresh weights cost the caller's random state nothing."""
    try:
        with torch.random.fork_rng(devices=[]):
            return create_network(network, **config)
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: {network} cannot be built for these weights ({error})") from error


def _completed(found: Recognition, net: Network) -> dict[str, Tensor]:
    """Add what foreign files leave out: constants, and the counters that older versions of torch did not save."""
    left_out = {
        name: tensor
        for name, tensor in net.state_dict().items()
        if name.startswith(found.dialect.absent) or name.endswith(".num_batches_tracked")
    }
    return {**left_out, **found.tensors}


def _check_name(net: Network, network: str, given: Mapping[str, object], path: PathLike) -> None:
    """Refuse a network that is not the named row's: of another class, or of another variant."""
    name = network_name(net)
    bound = {key: value for key, value in network_spec(network).constructor[1].items() if key not in given}
    others = network_spec(name).constructor[1]
    another_variant = name != network and others and all(net.config[key] == value for key, value in others.items())
    if type(net) is not network_spec(network).constructor[0] or another_variant:
        raise CheckpointError(f"{path}: weights of {name}, not of {network}")
    _compare(bound, net.config, path)


def _compare(
    wanted: Mapping[str, Any], found: Mapping[str, Any], path: PathLike, *, ignored: frozenset[str] = frozenset()
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


def _fill(net: Network, tensors: Mapping[str, Tensor], path: PathLike) -> None:
    """Load tensors by our names, when every one of them fits."""
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
