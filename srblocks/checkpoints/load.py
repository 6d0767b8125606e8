"""Load checkpoints of srblocks and of third parties, into a new network or an existing one."""

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsIndex

from ..color import OnLuma, OnYCbCr
from ..frameworks import PreUpsampling
from ..network import Network
from .build import build_with_weights, check_config, check_fit, fill
from .containers import Contents, read_contents
from .errors import CheckpointError, UnknownLayoutError, WrongScaleError, printable
from .matching import match_contents, match_layout
from .own_names import with_own_names
from .renamed import current_arguments

PathLike = str | os.PathLike[str]

MAX_SCALE = 64


def load_checkpoint(
    path: PathLike, *, network: str | None = None, scale: int | None = None, **config: object
) -> Network:
    """Build the network of a checkpoint and load its weights; the result is in eval mode.

    The network comes from the configuration that `save_checkpoint` stored, or else from the names and shapes of the
    tensors, for the known layouts of third-party checkpoints. Arguments that shapes do not reveal, such as the value
    range or the residual scale, come from the layout, or else from `config`. The network is in float64 if all tensors
    of the file are, otherwise in float32.

    A plain state dict with the tensor names of srblocks is recognized if it fits one registered network with its
    default arguments; otherwise pass `network` and the arguments that differ.

    Args:
        path: a safetensors file, a torch file with a state dict (also inside a training checkpoint), or a MatConvNet
            .mat file. Pickled modules are rejected, never executed.
        network: registry name that the file must have; None to recognize it.
        scale: scale factor; of weights for several scales, only those of this one are loaded. With None, a file of
            srblocks keeps its configuration, a third-party pyramid has its largest scale, and a third-party
            pre-upsampling network, whose weights fit any scale, has scale 1.
        config: constructor arguments that the file does not reveal.

    Raises:
        CheckpointError: the file is corrupt, has an unknown layout or belongs to another network.
        MissingArgumentError: the file does not reveal a required argument.
        WrongScaleError: the weights do not support `scale`.
        UnknownNetworkError: no network is named `network`.
        TypeError: the network has no such argument, or an argument has the wrong type.
        OSError: the file cannot be read.

    Examples:
        >>> from srblocks.pretrained import pretrained_path
        >>> load_checkpoint(pretrained_path("fsrcnn", scale=2)).scale
        2
    """
    scale = None if scale is None else check_scale(scale, path)
    return build_from_contents(read_contents(Path(path)), path, network=network, scale=scale, config=config)


def build_from_contents(
    contents: Contents, source: object, *, network: str | None, scale: int | None, config: Mapping[str, object]
) -> Network:
    """Do the work of `load_checkpoint` for the contents of a file or a state dict.

    Args:
        contents: tensors and configuration.
        source: name of the file in messages.
        network: see `load_checkpoint`.
        scale: see `load_checkpoint`.
        config: see `load_checkpoint`.
    """
    match = match_contents(contents, source, network=network, scale=scale, arguments=config)
    return build_with_weights(match, source, network=network, scale=scale)


def load_weights(net: Network, path: PathLike, *, same_config: bool = True) -> None:
    """Load a checkpoint into an existing network; every tensor must fit.

    Args:
        net: the network; unchanged if an error is raised.
        path: a file as for `load_checkpoint`.
        same_config: require the same constructor arguments where the file or its layout reveals them. False allows, for
            example, starting a training from the weights of another scale. The scale of a pre-upsampling network is
            never compared.

    Raises:
        CheckpointError: the file is corrupt, or its tensors or arguments differ from those of `net`.
        OSError: the file cannot be read.
    """
    while isinstance(net, (OnLuma, OnYCbCr)):
        net = net.net
    contents = read_contents(Path(path))
    tensors, config = contents.tensors, contents.metadata.get("config", None if contents.metadata else {})
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: unreadable srblocks configuration", "save it with save_checkpoint")
    config = current_arguments(config, net.config)
    if not contents.metadata and tensors.keys() != net.state_dict().keys():
        try:
            found = match_layout(tensors, path, facts=contents.facts, builder=type(net))
            tensors, config = found.layout.complete(found.tensors, net), found.known_arguments()
        except UnknownLayoutError:
            own = with_own_names(tensors, net)
            if own is None:
                raise
            tensors = own
    if same_config:
        ignored = {"scale"} if isinstance(net, PreUpsampling) else set[str]()
        wanted = {name: value for name, value in net.config.items() if name not in ignored}
        check_config(wanted, config, path, remedy="use load_checkpoint, or pass same_config=False")
    check_fit(net, tensors, path)
    fill(net, tensors, path)


def check_scale(scale: SupportsIndex, source: object) -> int:
    """Return a scale factor as an integer.

    Raises:
        WrongScaleError: it is not an integer from 1 to 64.
    """
    try:
        value = operator.index(scale)
    except TypeError:
        value = 0
    if not 1 <= value <= MAX_SCALE or isinstance(scale, bool):
        given = printable(repr(scale))
        raise WrongScaleError(f"{source}: scale must be an integer from 1 to {MAX_SCALE}, got {given}")
    return value
