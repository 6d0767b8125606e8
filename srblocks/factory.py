"""Create networks by registry name, with fresh or loaded weights."""

import os

from .checkpoints import load_checkpoint
from .network import Network
from .networks import network_spec


def create_network(
    name: str, *, scale: int | None = None, weights: str | os.PathLike[str] | None = None, **config: object
) -> Network:
    """Build a registered network in training mode.

    Args:
        name: a name of `list_networks`.
        scale: scale factor. A network with branches for several scales then has only the branch of this scale, as
            returned by `Network.at_scale`. None means the scale of `weights`, or the smallest supported scale (with all
            branches) without `weights`.
        weights: checkpoint file, which also determines the arguments that `config` leaves out, see
            `srblocks.load_checkpoint`; None for random weights.
        config: other constructor arguments of the network, for example from ``net.config``.

    Returns:
        The network.

    Raises:
        UnknownNetworkError: there is no such network; the message lists the closest names.
        ValueError: an argument is out of range; its subclass `srblocks.checkpoints.CheckpointError`: `weights` cannot
            be loaded.
        TypeError: the network does not have an argument.

    Examples:
        >>> create_network("edsr_baseline", scale=4).config["depth"]
        16
    """
    if weights is None:
        return network_spec(name).create(scale=scale, **config)
    return load_checkpoint(weights, network=name, scale=scale, **config).train()
