"""One function per network, for hosts that look networks up by name."""

import inspect
from collections.abc import Callable
from typing import Any

from ..factory import create_network
from ..network import Network
from ..pretrained import list_pretrained, pretrained_path
from ..registry import NetworkSpec


def factory(spec: NetworkSpec, name: str) -> Callable[..., Network]:
    """Give a function that builds the network of one row of the registry.

    It takes ``scale``, ``pretrained`` (True for the bundled weights) and the further arguments of
    `srblocks.create_network`, and gives the network in training mode.

    Args:
        spec: the row.
        name: the name of the function, by which hosts know it.

    Example:
        >>> from srblocks.networks import network_spec
        >>> build = factory(network_spec("fsrcnn"), "srblocks_fsrcnn")
        >>> build.__name__, build(scale=3, width=32).config["width"]
        ('srblocks_fsrcnn', 32)
    """

    def build(*, scale: int | None = None, pretrained: bool = False, **arguments: Any) -> Network:
        if not pretrained:
            return create_network(spec.name, scale=scale, **arguments)
        scale = min(spec.scales) if scale is None else scale
        path = pretrained_path(spec.name, scale=scale)
        if path is None:
            raise ValueError(
                f"{name}: no weights are bundled for {spec.name} at scale {scale}; bundled are "
                f"{', '.join(list_pretrained())}; give a file of weights as weights=FILE in place of pretrained=True"
            )
        return create_network(spec.name, scale=scale, weights=path, **arguments)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _documentation(spec)
    return build


def _documentation(spec: NetworkSpec) -> str:
    summary = (inspect.getdoc(spec.constructor[0]) or spec.name).partition("\n")[0]
    bundled = [f"x{scale}" for scale in spec.scales if pretrained_path(spec.name, scale=scale)]
    further = ", ".join(f"{key}={value!r}" for key, value in spec.arguments().items() if key != "scale")
    return inspect.cleandoc(f"""
        {summary}

        {spec.paper}. Images of {spec.image_channels} channel(s), {spec.color}, values in [0, 1].

        Args:
            scale: enlargement per side, {", ".join(map(str, spec.scales))}; the smallest by default.
            pretrained: with the bundled weights ({", ".join(bundled) or "there are none"}).
            weights: file with the weights, see srblocks.load_checkpoint.
            further: {further}.
    """)
