"""Create networks by registry name, with fresh or loaded weights."""

import os

from .checkpoints import load_checkpoint
from .network import Network
from .networks import network_spec


def create_network(
    name: str, *, scale: int | None = None, weights: str | os.PathLike[str] | None = None, **config: object
) -> Network:
    """Build a registered network, in training mode.

    Args:
        name: a name of `list_networks`.
        scale: enlargement per side. A network with branches for several scales then has that of this scale alone, as
            `Network.at_scale` gives it. None for the smallest declared scale, with the branches of all; with `weights`
            for theirs.
        weights: file with the weights, and with them the arguments that `config` does not give, see
            `srblocks.load_checkpoint`; None for fresh ones.
        config: further constructor arguments of the network, such as those of ``net.config``.

    Returns:
        The network.

    Raises:
        UnknownNetworkError: no such network; the message names the closest ones.
        ValueError: an argument has no legal value; `srblocks.CheckpointError` when the weights are the cause.
        TypeError: the network has no such argument.

    Example:
        >>> create_network("edsr_baseline", scale=4).config["depth"]
        16
    """
    if weights is None:
        return network_spec(name).create(scale=scale, **config)
    return load_checkpoint(weights, network=name, scale=scale, **config).train()
