"""Loading our own and other people's weights, into a network that they show or into one at hand."""

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsIndex

import torch

from ..color import OnLuma, OnYCbCr
from ..frameworks import PreUpsampling
from ..network import Network
from ..networks import network_spec
from .build import check_name, identify, outline, with_our_names
from .containers import Contents, read_contents
from .errors import CheckpointError, UnknownLayoutError, WrongScaleError, shown
from .fill import check_config, check_fit, fill
from .matching import match_layout

PathLike = str | os.PathLike[str]

_LARGEST_SCALE = 64


def load_checkpoint(
    path: PathLike, *, network: str | None = None, scale: int | None = None, **config: object
) -> Network:
    """Build the network that a weights file belongs to, with its weights, in eval mode.

    The network and its variant come from the configuration that `save_checkpoint` wrote, else from the names and
    shapes of the tensors: the layouts of many authors and ports are known (README.md beside this file lists them). What
    tensors do not show, such as the value range or a residual scale, comes from the layout, else from an argument. The
    network is in double precision where the file is, else in single.

    A plain state dict with our names loads when the network is named; arguments that are not given have their defaults.

    Args:
        path: safetensors; a torch file of a state dict, also inside a training checkpoint; MatConvNet's .mat. Pickled
            modules are refused, never executed.
        network: registry name that the file must be of; None to recognize it. Needed for a plain state dict with our
            names, which holds no configuration.
        scale: enlargement per side; one of those that the weights serve, of which it then holds that alone. None for
            the one that it was saved with; of a foreign file of a pyramid the largest, and 1 for a network that
            enlarges first, whose weights serve all.
        config: constructor arguments that the file does not show.

    Raises:
        CheckpointError: the file is corrupt, of an unknown layout or another network; as its subclasses
            `UnseenArgumentError`, it does not show all arguments, and `WrongScaleError`, it is of another scale.
        UnknownNetworkError: there is no network named `network`.
        TypeError: the network has no such argument, or it is of the wrong kind.
        OSError: the file cannot be read.

    Example:
        >>> from srblocks.pretrained import pretrained_path
        >>> load_checkpoint(pretrained_path("fsrcnn", scale=2)).scale
        2
    """
    scale = None if scale is None else whole_scale(scale, path)
    return network_of(read_contents(Path(path)), path, network=network, scale=scale, config=config)


def network_of(
    contents: Contents, source: object, *, network: str | None, scale: int | None, config: Mapping[str, object]
) -> Network:
    """Build the network that tensors belong to, with these weights, in eval mode; see `load_checkpoint`.

    Args:
        contents: of a file, or of a state dict.
        source: what messages call it.
        network: registry name; None to recognize it.
        scale: enlargement per side; None for the weights' own.
        config: constructor arguments that the tensors do not show.
    """
    identity = identify(contents, network, scale, config, source)
    plan = outline(identity.network, identity.arguments, source)
    if network is not None:
        check_name(plan, network, source)
    check_fit(plan, identity.completed(plan), source, remark=identity.remark)
    with torch.random.fork_rng(devices=[]):
        net = network_spec(identity.network).create(**identity.arguments)
    floats = [tensor.dtype for tensor in contents.tensors.values() if tensor.is_floating_point()]
    net.to(torch.float64 if set(floats) == {torch.float64} else torch.float32)
    fill(net, identity.completed(net), source)
    if scale is not None and (scale != net.scale or len(net.scales) > 1):
        if scale not in net.scales:
            served = " or ".join(f"x{each}" for each in net.scales)
            raise WrongScaleError(f"{source}: weights of {identity.network} for {served}, not for x{scale}")
        net = net.at_scale(scale)
    return net.eval()


def load_weights(net: Network, path: PathLike, *, same_config: bool = True) -> None:
    """Load the weights of a file into an existing network; every tensor must fit.

    Args:
        net: the network, changed only when everything fits.
        path: a file as `load_checkpoint` takes it.
        same_config: refuse a file whose configuration is another one, where it or its layout shows that; False to start
            a training from the weights of another scale, say. The scale of a network that enlarges first is not part
            of its weights.

    Raises:
        CheckpointError: the file is corrupt, or its tensors are not those of `net`.
        OSError: the file cannot be read.
    """
    while isinstance(net, (OnLuma, OnYCbCr)):
        net = net.net
    contents = read_contents(Path(path))
    tensors, config = contents.tensors, contents.metadata.get("config", {} if not contents.metadata else None)
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: its srblocks configuration is unreadable")
    if not contents.metadata and tensors.keys() != net.state_dict().keys():
        try:
            found = match_layout(tensors, path, facts=contents.facts, like=type(net))
            tensors, config = found.completed(net), found.known()
        except UnknownLayoutError:
            ours = with_our_names(tensors, net)
            if ours is None:
                raise
            tensors = ours
    if same_config:
        free = {"scale"} if isinstance(net, PreUpsampling) else set[str]()
        wanted = {name: value for name, value in net.config.items() if name not in free}
        remedy = "build the network so (load_checkpoint does), or use same_config=False"
        check_config(wanted, config, path, remedy=remedy)
    check_fit(net, tensors, path)
    fill(net, tensors, path)


def whole_scale(scale: SupportsIndex, source: object) -> int:
    """Give an enlargement as an integer.

    Raises:
        WrongScaleError: it is none.
    """
    try:
        whole = operator.index(scale)
    except TypeError:
        whole = 0
    if not 1 <= whole <= _LARGEST_SCALE or isinstance(scale, bool):
        given = shown(repr(scale))
        raise WrongScaleError(
            f"{source}: scale={given} is no enlargement; give a whole number from 1 to {_LARGEST_SCALE}"
        )
    return whole
