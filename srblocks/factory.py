"""Create networks by registry name, with fresh or loaded weights."""

import os

from .checkpoints import load_checkpoint
from .network import Network
from .networks import network_spec
from .pretrained import list_pretrained, pretrained_path


def create_network(
    name: str, *, scale: int | None = None, weights: str | os.PathLike[str] | None = None, **config: object
) -> Network:
    """Build a registered network, in training mode.

    Args:
        name: registry name, see `list_networks`.
        scale: scale factor. A network with branches for several scales then has only the branch of this scale, as with
            `Network.at_scale`. None means the smallest declared scale above 1, with the branches of all scales,
            or, with `weights`, the scales of the file.
        weights: checkpoint with the weights, see `srblocks.load_checkpoint`; it also provides the constructor arguments
            that `config` omits. None for fresh weights.
        config: further constructor arguments of the network, such as those of ``net.config``.

    Raises:
        UnknownNetworkError: there is no such network; the message suggests similar names.
        ValueError: an argument has an illegal value, or, as `srblocks.checkpoints.CheckpointError`, the weights cannot
            be loaded.
        TypeError: the network has no such argument.

    Examples:
        >>> create_network("edsr_baseline", scale=4).config["depth"]
        16
    """
    if weights is None:
        return network_spec(name).create(scale=scale, **config)
    return load_checkpoint(weights, network=name, scale=scale, **config).train()


def load_pretrained(name: str, *, scale: int) -> Network:
    """Build a network with its bundled weights, in eval mode.

    Args:
        name: registry name.
        scale: scale factor.

    Raises:
        ValueError: no weights are bundled for this network and scale.
        UnknownNetworkError: there is no such network.

    Examples:
        >>> load_pretrained("fsrcnn", scale=2).config["width"]
        56
    """
    path = pretrained_path(name, scale=scale)
    if path is None:
        raise ValueError(
            f"no bundled weights for {network_spec(name).name} at scale {scale}; bundled are "
            f"{', '.join(list_pretrained())}; for other weights use load_checkpoint"
        )
    return load_checkpoint(path)
